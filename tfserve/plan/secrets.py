"""Recognizes the environment variables whose values are not shown.

A value is passed to the server, and recorded where its engine keeps it. In what tfserve prints, the name of the
variable takes its place, which ``docker run`` and a shell resolve from the environment. Whether a value is a secret can
only be guessed: from words in the name, from well-known forms of keys, and from long texts of letters and digits. A
wrong guess costs one ``export``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["hidden_variables", "is_secret"]

_WORDS = re.compile(
    r"SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|KEY|PRIVATE|COOKIE|BEARER|AUTH|SIGNATURE|WEBHOOK|CONNECTION_?STRING"
    r"|(?:^|_)(?:PASS|PWD|PW|PIN|OTP|PAT|JWT|SAS|DSN|CREDS?|CERT|SALT|LICEN[CS]E|LOGIN|SESSION|ACCESS|SIGNING|NETRC)(?:_|\d*$)",
    re.IGNORECASE,
)
_VALUES = re.compile(
    r"://[^/\s]*@"  # an address with a user or password
    r"|[?&;](?:[\w-]*(?:token|key|sig|signature|secret|password|pwd|credential|auth)[\w-]*)="
    r"|-----BEGIN "
    r"|\b(?:Bearer|Basic) \S"
    r"|^(?:gh[a-z]_|github_pat_|glpat-|sk[-_]|pk_|rk_|hf_|npm_|xox[a-z]-|AKIA|ASIA|AIza|ya29\.|eyJ|dckr_pat_)"
    r"|(?i:password|pwd|secret|token)\s*[=:]",
)
_LONG = re.compile(r"(?=[^\d]*\d)(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9+_=.~-][A-Za-z0-9+/_=.~-]{19,}")
_OWN_FILES = "/run/secrets/"  # where tfserve mounts the files of credentials
_NO_SECRETS = re.compile(r"MODEL_NAME|MODEL_BASE_PATH|(?:NVIDIA|CUDA)_VISIBLE_DEVICES|NVIDIA_DRIVER_CAPABILITIES")


def is_secret(name: str, value: str) -> bool:
    """Whether the value of an environment variable may be a secret."""
    if not value or value.startswith(_OWN_FILES) or _NO_SECRETS.fullmatch(name):
        return False
    return bool(_WORDS.search(name) or _VALUES.search(value) or _LONG.fullmatch(value))


def hidden_variables(environment: Mapping[str, str]) -> list[str]:
    """Returns the names of the variables whose values are not shown."""
    return [name for name, value in environment.items() if is_secret(name, value)]

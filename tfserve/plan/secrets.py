"""Recognizes the environment variables whose values are not shown.

A value is passed to the server, and recorded where its engine keeps it. In what tfserve prints, the name of the
variable takes its place, which ``docker run`` and a shell resolve from the environment. Whether a value is a secret can
only be guessed: from words in the name, from well-known forms of keys, from long texts of letters and digits, and
from secrets of this process that are a part of it. A wrong guess costs one ``export``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

__all__ = ["hidden_variables", "is_secret"]

_WORDS = re.compile(
    r"SECRET|TOKEN|PASSW|PASSPHRASE|PASSCODE|PSWD|CREDENTIAL|KEY|PRIVATE|COOKIE|BEARER|AUTH|SIGNATURE|WEBHOOK|JWT"
    r"|CONNECTION_?STRING"
    r"|(?:(?<!COM)(?<!BY)(?<!TRES)(?<!SUR)PASS|(?<!OLD)PWD|PW|DSN|CREDS?)(?:_|\d*$)"  # also DBPASS
    r"|(?:^|_)(?:PIN|OTP|PAT|SAS|CERT|SALT|LICEN[CS]E|LOGIN|SESSION|ACCESS|SIGNING|NETRC)(?:_|\d*$)",
    re.IGNORECASE,
)
_SECRET_OR_SECONDS = re.compile(r"SECS?(?:_|\d*$)", re.IGNORECASE)
_DURATION = re.compile(r"[\d.]+ ?[a-z]*")
_MIN_PART, _MIN_WHOLE = 6, 4  # characters of a secret that another value contains or is; shorter ones are by chance
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
_NO_SECRETS = re.compile(
    r"MODEL_NAME|MODEL_BASE_PATH|(?:NVIDIA|CUDA)_VISIBLE_DEVICES|NVIDIA_DRIVER_CAPABILITIES|PWD|OLDPWD"
)


def is_secret(name: str, value: str) -> bool:
    """Whether the value of an environment variable may be a secret."""
    if _NO_SECRETS.fullmatch(name) or value.startswith(_OWN_FILES):
        return False
    return _looks_secret(name, value) or _contains_secret(value)


def _looks_secret(name: str, value: str) -> bool:
    if not value or _NO_SECRETS.fullmatch(name):
        return False
    if _SECRET_OR_SECONDS.search(name) and not _DURATION.fullmatch(value):
        return True
    return bool(_WORDS.search(name) or _VALUES.search(value) or _LONG.fullmatch(value))


def _contains_secret(value: str) -> bool:
    """Whether the value of a secret variable of this process is in `value`, as in a file with ``A: ${TOKEN}``."""
    return any(
        len(each) >= (_MIN_WHOLE if each == value else _MIN_PART)
        and each in value
        and _looks_secret(name, each)
        and not (each.startswith("/") and os.path.lexists(each))  # where a secret is, but not the secret
        for name, each in os.environ.items()
    )


def hidden_variables(environment: Mapping[str, str]) -> list[str]:
    """Returns the names of the variables whose values are not shown."""
    return [name for name, value in environment.items() if is_secret(name, value)]

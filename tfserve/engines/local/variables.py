"""The environment variables that a local server cannot be given, because they make its process run code.

In a container, such a variable can only reach what the container can. A local process runs as the user, and the file
that describes it may come from someone else: ``env: {PYTHONPATH: …}`` would run a stranger's program as the user. What
the user has set in the environment of tfserve itself is passed on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tfserve.errors import Attribute, UsageError, Wording

__all__ = ["refuse_variables", "runs_code"]

# Besides what the loaders, interpreters and libraries of the server read, these are the variables that sudo removes:
# https://www.sudo.ws/docs/man/sudoers.man/#Command_environment and glibc for privileged programs (unsecvars.h).
_RUNS_CODE = re.compile(
    r"PYTHON.*|PYTHON|_?LD_.*|_RLD.*|DYLD_.*|LIBPATH|SHLIB_PATH"  # the interpreter and the loaders
    r"|GLIBC_TUNABLES|GCONV_PATH|GETCONF_DIR|LOCPATH|NLSPATH|MALLOC_TRACE|MALLOC_CONF|HOSTALIASES|LOCALDOMAIN|RES_OPTIONS"
    r"|RESOLV_.*|NIS_PATH"  # the C library
    r"|PATH|HOME|TMPDIR|TEMP|TMP|XDG_.*"  # where programs, and the user's packages, are searched
    r"|BASH_.*|BASHOPTS|SHELLOPTS|ENV|IFS|CDPATH|GLOBIGNORE|PS4|FPATH|ZDOTDIR|NULLCMD|READNULLCMD"  # shells
    r"|PERL.*|RUBY.*|GEM_.*|NODE_.*|JAVA_.*|_?JAVA_OPTIONS|JDK_.*|CLASSPATH|HADOOP_.*|LUA_.*|GIT_.*|TERMINFO.*|TERMCAP"
    r"|OPENSSL_.*|SSLKEYLOGFILE|GNUTLS_.*|PKCS11_.*|KRB5.*"  # modules of cryptography
    r"|TF_PLUGGABLE_DEVICE_LIBRARY_PATH|INTEL_.*|OMP_TOOL.*|VTUNE_.*|ITT_.*|CUDA_INJECTION.*|NVTX_INJECTION.*|TPU_.*"
    r"|.*_(?:PRELOAD|LIBRARY|LIBRARIES|LIBRARY_PATH|LIB_PATH|PLUGIN|PLUGINS|PLUGIN_PATH|PLUGIN_DIR|INJECTION64_PATH)"
)


def runs_code(name: str) -> bool:
    """Whether an environment variable makes a process load or run a file."""
    return _RUNS_CODE.fullmatch(name) is not None


def refuse_variables(names: Iterable[str]) -> None:
    """Refuses the variables that a local server cannot be given.

    Raises:
        UsageError: one of `names` makes a process run code.
    """
    for name in names:
        if runs_code(name):
            raise UsageError(
                Wording(
                    "The local engine does not set {name}: with this variable, the server would run other programs or "
                    "read other files.",
                    name=name,
                ),
                hint=Wording(
                    "Leave it out of {environment}. If you need it, set it for tfserve itself, whose environment the "
                    "server inherits: export {name}=…",
                    environment=Attribute("environment"),
                    name=name,
                ),
                about=("environment", name),
            )

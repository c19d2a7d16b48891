"""Keeps the current directory out of the paths on which programs and the modules of Python are searched.

The current directory may belong to someone else, such as a directory of models that was downloaded or is shared. A file
there called ``queue.py`` or ``docker`` must never run because tfserve was typed in this directory. This module imports
only what the interpreter has already loaded, as it is what keeps later imports safe.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # importing typing would run a file of that name
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "NEUTRAL_DIRECTORY",
    "absolute_entries",
    "leave_current_directory",
    "restart_without_relative_libraries",
    "safe_environment",
]

NEUTRAL_DIRECTORY = "/"
"""The working directory of programs that need no other: only root can create files there."""

_LIBRARIES = "LD_LIBRARY_PATH"
_DEFAULTS = {"PATH": os.defpath, "PYTHONPATH": "", _LIBRARIES: ""}
_KEPT = ("/", "$ORIGIN", "${ORIGIN}")  # ld.so(8) replaces the name by the directory of the program
_SAFE_PATH = "PYTHONSAFEPATH"  # https://docs.python.org/3/using/cmdline.html#envvar-PYTHONSAFEPATH
_HOME = os.path.abspath(f"{__file__}/../../..")  # noqa: PTH100 - the directory of the package; pathlib is not loaded


def safe_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment of another program, without the relative directories of its search paths.

    An empty entry means the current directory; ``PATH=$DIRECTORY:$PATH`` adds one if a variable is not set. The Python
    that is started adds no such entry itself.
    """
    return {**variables, **_absolute_paths(variables), _SAFE_PATH: "1"}


def leave_current_directory() -> None:
    """Makes this process import modules and find programs in absolute directories only; for a program's first line.

    ``python -m tfserve`` and empty entries of ``PYTHONPATH`` put the current directory before the standard library.
    It stays if the user named it by its absolute path, or if it contains tfserve itself.
    """
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ.update(_absolute_paths(os.environ))
    try:
        current = os.getcwd()  # noqa: PTH109
    except OSError:  # it was removed
        current = ""
    relative, absolute = set[str](), {_HOME}
    for entry in ("", *named):
        if entry.startswith("/"):
            absolute.add(os.path.normpath(entry))
        else:
            relative.add(os.path.normpath(f"{current}/{entry}"))
    sys.path[:] = [entry for entry in sys.path if entry not in {"", ".", *(relative - absolute)}]


def restart_without_relative_libraries() -> None:
    """Starts this program again if shared libraries would be loaded from the current directory; for its first line.

    The loader reads its variable once, when the process starts. ``LD_LIBRARY_PATH=/usr/local/cuda/lib64:$OTHER`` has an
    empty entry if a variable is not set. What the interpreter itself is linked with has been loaded before this.
    """
    given = os.environ.get(_LIBRARIES, "")
    kept = _absolute_libraries(given)
    if not given or len(kept) == len(given) or not sys.executable:
        return
    environment = {**os.environ, _LIBRARIES: kept}  # without relative entries, so this happens once
    try:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 - no shell is needed
    except OSError:  # it was removed
        return


def absolute_entries(path: str) -> str:
    """Returns a search path without its relative and empty entries."""
    return os.pathsep.join(filter(os.path.isabs, path.split(os.pathsep)))


def _absolute_libraries(path: str) -> str:
    entries = path.replace(";", ":").split(":")  # ld.so(8) accepts both
    return ":".join(entry for entry in entries if entry.startswith(_KEPT))


def _absolute_paths(variables: Mapping[str, str]) -> dict[str, str]:
    given = {name: variables[name] for name in _DEFAULTS if name in variables}
    found = {
        name: (_absolute_libraries if name == _LIBRARIES else absolute_entries)(path) for name, path in given.items()
    }
    return {name: path or _DEFAULTS[name] for name, path in found.items()}

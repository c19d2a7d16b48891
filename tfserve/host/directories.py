"""The directories for this user's files: platformdirs, with the layout of the XDG specification on every system.

https://specifications.freedesktop.org/basedir-spec/latest/
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

__all__ = ["user_directory"]


def user_directory(kind: Literal["cache", "state"]) -> Path | None:
    """Returns tfserve's own directory in ``$XDG_CACHE_HOME`` or ``$XDG_STATE_HOME``; a relative path there is ignored.

    Returns:
        An absolute path, whether or not it exists; None if the variable is not set and the user has no home directory.
    """
    from platformdirs.unix import Unix  # macOS has the same directories: models and servers stay where they are

    directories = Unix("tfserve")
    try:
        path = directories.user_cache_path if kind == "cache" else directories.user_state_path
    except RuntimeError:  # without a home directory; older releases return a path that begins with ~
        return None
    return path if path.is_absolute() else None

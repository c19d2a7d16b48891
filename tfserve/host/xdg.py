"""Where a user's files go, by the XDG Base Directory Specification.

https://specifications.freedesktop.org/basedir-spec/latest/
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["base_directory"]


def base_directory(variable: str, default: str) -> Path | None:
    """The base directory that `variable` names, such as ``XDG_STATE_HOME``; a relative path there does not count.

    Args:
        variable: the variable of the environment.
        default: where it is otherwise, below the home directory: ``.local/state``.

    Returns:
        An absolute path, whether or not it exists; None where nobody names it and this user has no home.
    """
    configured = os.environ.get(variable, "")
    # Path.expanduser would raise where there is no home.
    path = configured if os.path.isabs(configured) else os.path.expanduser(f"~/{default}")  # noqa: PTH111, PTH117
    return Path(path) if os.path.isabs(path) else None  # noqa: PTH117

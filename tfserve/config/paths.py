"""Paths as people would write them: absolute, and without a ``..`` where that leads to the same place."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["tidy"]


def tidy(path: Path) -> Path:
    """Returns `path` absolute and without ``..``, links in it as they are; behind a link a ``..`` has to stay."""
    absolute = path.absolute()
    tidied = Path(os.path.normpath(absolute))
    try:
        return tidied if tidied.resolve() == absolute.resolve() else absolute
    except (OSError, RuntimeError, ValueError):  # a loop of links, a NUL
        return absolute

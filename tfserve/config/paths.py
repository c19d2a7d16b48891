"""Paths as a person would write them: absolute, and without ``..`` where that names the same file."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["normalized"]


def normalized(path: Path) -> Path:
    """Returns `path` absolute and without ``..``; links stay, and so does a ``..`` behind a link."""
    absolute = path.absolute()
    shorter = Path(os.path.normpath(absolute))
    try:
        return shorter if shorter.resolve() == absolute.resolve() else absolute
    except (OSError, RuntimeError, ValueError):  # a loop of links, a NUL character
        return absolute

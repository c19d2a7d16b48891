"""Simplifies paths: absolute, and without ``..`` if that refers to the same file."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["normalized"]


def normalized(path: Path) -> Path:
    """Returns `path` absolute and without ``..``; links are kept, and so is a ``..`` that follows a link."""
    absolute = path.absolute()
    shorter = Path(os.path.normpath(absolute))
    try:
        return shorter if shorter.resolve() == absolute.resolve() else absolute
    except (OSError, RuntimeError, ValueError):  # a loop of links, a NUL character
        return absolute

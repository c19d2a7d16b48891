"""Quotes words as one line to paste into a shell."""

from __future__ import annotations

from collections.abc import Sequence

from tfserve.text import shell_quoted

__all__ = ["shell_line"]


def shell_line(words: Sequence[str]) -> str:
    """Quotes and joins `words`, so that a shell does not interpret them."""
    return " ".join(map(shell_quoted, words))

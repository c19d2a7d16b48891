"""Quotes words as one line to paste into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

__all__ = ["shell_line"]


def shell_line(words: Sequence[str]) -> str:
    """Quotes and joins `words`, so that a shell does not interpret them."""
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    """Quotes one word; unprintable characters are written as ``$'…'``, which bash, zsh and ksh understand."""
    if all(character.isprintable() or character in "\n\t" for character in word):
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def _escaped(character: str) -> str:
    if character.isprintable() and character not in "'\\":
        return character
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogateescape"))

"""Makes text that came from a server fit to be shown: nothing in it can move the cursor, change colours or hide."""

from __future__ import annotations

__all__ = ["printable"]

_SURROGATE_BYTES = range(0xDC80, 0xDD00)  # how "surrogateescape" keeps a byte that is not UTF-8


def printable(text: str, *, limit: int = 2000, newlines: bool = False) -> str:
    """Returns `text` with every character that is not printable written as an escape.

    Args:
        text: any text; bytes that were not UTF-8 may be in it, as "surrogateescape" keeps them.
        limit: how many characters of `text` to show at most; what is cut is counted.
        newlines: whether line feeds stay as they are.
    """
    shown = "".join(
        character if character.isprintable() or (newlines and character == "\n") else _escaped(character)
        for character in text[:limit]
    )
    return shown if len(text) <= limit else f"{shown}… {len(text)} characters"


def _escaped(character: str) -> str:
    code = ord(character)
    if code in _SURROGATE_BYTES:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")

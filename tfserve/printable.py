"""Makes text of a user or a server fit to be shown: nothing in it can move the cursor, change colours or hide."""

from __future__ import annotations

__all__ = ["printable", "printable_lines"]

_SURROGATE_BYTES = range(0xDC80, 0xDD00)  # how "surrogateescape" keeps a byte that is not UTF-8


def printable(text: str, *, limit: int = 2000) -> str:
    """Returns `text` in one line, with every character that is not printable written as an escape.

    Args:
        text: any text; bytes that were not UTF-8 may be in it, as "surrogateescape" keeps them.
        limit: how many characters of `text` to show at most; what is cut is counted.
    """
    return _shown(text, limit, kept="")


def printable_lines(text: str, *, limit: int | None = None) -> str:
    """Returns `text` as `printable` does, but with its line feeds and tabs as they are, and whole without a `limit`."""
    return _shown(text, len(text) if limit is None else limit, kept="\n\t")


def _shown(text: str, limit: int, *, kept: str) -> str:
    shown = "".join(
        character if character.isprintable() or character in kept else _escaped(character) for character in text[:limit]
    )
    return shown if len(text) <= limit else f"{shown}… {len(text)} characters"


def _escaped(character: str) -> str:
    code = ord(character)
    if code in _SURROGATE_BYTES:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")

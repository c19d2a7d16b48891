"""Text for people: escaped for a terminal, the nearest of several names, and points in time.

What comes from a user or a server is escaped before it is shown, so that it cannot move the cursor, set colours or
hide.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Literal

__all__ = ["did_you_mean", "nearest", "printable", "printable_lines", "rfc3339"]

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


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str | None:
    """Returns a hint with the one of `known` that is most like `name`, behind `prefix`; None if none is like it."""
    found = nearest(name, known)
    return None if found is None else f"Did you mean {prefix}{printable(found)}?"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Returns the one of `known` that is most like `name`, whatever their case; None if none is like it."""
    from difflib import get_close_matches

    lowered = {key.lower(): key for key in known}
    close = get_close_matches(name.lower(), lowered, n=1)
    return lowered[close[0]] if close else None


def rfc3339(moment: datetime, timespec: Literal["seconds", "microseconds"] = "seconds") -> str:
    """Writes a `moment` that knows its time zone: ``2026-01-31T12:00:00Z``."""
    return moment.astimezone(timezone.utc).isoformat(timespec=timespec).replace("+00:00", "Z")

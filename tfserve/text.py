"""Text for the terminal: escaped text, suggestions for misspelled names, and points in time.

Text from users and servers is escaped before it is shown, so that it cannot move the cursor, set colors or hide text.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Literal

__all__ = ["did_you_mean", "nearest", "printable", "printable_lines", "rfc3339"]

_SURROGATE_BYTES = range(0xDC80, 0xDD00)  # "surrogateescape" represents bytes that are not UTF-8 by these characters


def printable(text: str, *, limit: int = 2000) -> str:
    """Returns `text` in one line, with escapes for all characters that are not printable.

    Args:
        text: any text; it may contain bytes that are not UTF-8, as "surrogateescape" decodes them.
        limit: how many characters of `text` to show at most; longer text is cut, with its length at the end.
    """
    return _escape(text, limit, keep="")


def printable_lines(text: str, *, limit: int | None = None) -> str:
    """Returns `text` like `printable`, but keeps line feeds and tabs, and the whole text if there is no `limit`."""
    return _escape(text, len(text) if limit is None else limit, keep="\n\t")


def _escape(text: str, limit: int, *, keep: str) -> str:
    escaped = "".join(
        character if character.isprintable() or character in keep else _escape_character(character)
        for character in text[:limit]
    )
    return escaped if len(text) <= limit else f"{escaped}… {len(text)} characters"


def _escape_character(character: str) -> str:
    code = ord(character)
    if code in _SURROGATE_BYTES:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str | None:
    """Returns a hint with the most similar of the `known` names, after `prefix`; None if no name is similar."""
    found = nearest(name, known)
    return None if found is None else f"Did you mean {prefix}{printable(found)}?"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Returns the `known` name that is most similar to `name`, ignoring case; None if no name is similar."""
    from difflib import get_close_matches

    lowered = {key.lower(): key for key in known}
    close = get_close_matches(name.lower(), lowered, n=1)
    return lowered[close[0]] if close else None


def rfc3339(moment: datetime, timespec: Literal["seconds", "microseconds"] = "seconds") -> str:
    """Formats a `moment` that has a time zone: ``2026-01-31T12:00:00Z``."""
    return moment.astimezone(timezone.utc).isoformat(timespec=timespec).replace("+00:00", "Z")

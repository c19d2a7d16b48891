"""Text for the terminal: escaped text, suggestions for misspelled names, and points in time.

Text from users and servers is escaped before it is shown, so that it cannot move the cursor, set colors or hide text.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from itertools import islice
from typing import Literal

__all__ = [
    "did_you_mean",
    "indented",
    "nearest",
    "one_line",
    "printable",
    "printable_lines",
    "quoted_line",
    "rfc3339",
    "shell_quoted",
]

_OWN = ("error:", "hint:", "warning:")
_MAX_NAME, _MAX_NAMES = 200, 2000  # characters, and how many are compared
_MAX_LINE = 20_000  # more characters are not a message

_SURROGATE_BYTES = range(0xDC80, 0xDD00)  # "surrogateescape" represents bytes that are not UTF-8 by these characters
_SHELL_ESCAPES = {"\n": "\\n", "\t": "\\t"}


def printable(text: str, *, limit: int = 2000) -> str:
    """Returns `text` in one line, with escapes for all characters that are not printable.

    Args:
        text: any text; it may contain bytes that are not UTF-8, as "surrogateescape" decodes them.
        limit: how many characters of `text` to show at most; longer text is cut, with its length at the end.
    """
    return _escape(text, limit, keep="")


def one_line(text: str) -> str:
    """Returns `text` like `printable`, with tabs, and with a limit that only text not meant to be read exceeds."""
    return text if text.isprintable() and len(text) <= _MAX_LINE else _escape(text, _MAX_LINE, keep="\t")


def indented(text: str, margin: str) -> str:
    """Returns `text` like `printable_lines`, with `margin` before each line but the first.

    Lines of foreign text can then not be mistaken for those of tfserve, such as ``Hint: …``, which begin at the margin.
    """
    return printable_lines(text).replace("\n", f"\n{margin}")


def quoted_line(line: str) -> str:
    """Returns a line that another program printed, escaped; it is indented if it looks like a message of tfserve."""
    return printable_lines(f"{'  ' * line.lower().startswith(_OWN)}{line}").replace("\n", "\\n")


def shell_quoted(text: str) -> str:
    """Quotes one argument for a shell, in one line, without characters that are not printable.

    They are written in ``$'…'``, which bash, zsh and ksh understand, as the bytes that they have in UTF-8.
    """
    import shlex

    if text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(map(_escape_in_shell, text))}'"


def _escape_in_shell(character: str) -> str:
    if character in _SHELL_ESCAPES:
        return _SHELL_ESCAPES[character]
    if character.isprintable() and character not in "'\\":
        return character
    errors = "surrogateescape" if ord(character) in _SURROGATE_BYTES else "surrogatepass"
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", errors))


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
    """Returns the `known` name that is most similar to `name`, ignoring case; None if no name is similar.

    Only names that a user could have meant are compared, and only some: names can be a server's.
    """
    from difflib import get_close_matches

    if len(name) > _MAX_NAME:
        return None
    lowered = {key.lower(): key for key in islice(known, _MAX_NAMES) if len(key) <= _MAX_NAME}
    close = get_close_matches(name.lower(), lowered, n=1)
    return lowered[close[0]] if close else None


def rfc3339(moment: datetime, timespec: Literal["seconds", "microseconds"] = "seconds") -> str:
    """Formats a `moment` that has a time zone: ``2026-01-31T12:00:00Z``."""
    return moment.astimezone(timezone.utc).isoformat(timespec=timespec).replace("+00:00", "Z")

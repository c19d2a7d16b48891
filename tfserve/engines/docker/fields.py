"""Reads texts and times from answers of an engine, and from labels that every user of it can write."""

from __future__ import annotations

import os
from datetime import datetime, timezone

__all__ = ["moment", "path", "text", "texts"]


def text(value: object, *, limit: int | None = None) -> str:
    """Returns a text of at most `limit` characters; None for no limit.

    Raises:
        TypeError: it is something else.
        ValueError: it is longer.
    """
    if not isinstance(value, str):
        raise TypeError(f"expected a text, found {type(value).__name__}")
    if limit is not None and len(value) > limit:
        raise ValueError(f"a text has {len(value):,} characters, which is more than {limit:,}")
    return value


def texts(value: object) -> tuple[str, ...]:
    """Returns a list of texts, where null is an empty one.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, list | None):
        raise TypeError(f"expected a list, found {type(value).__name__}")
    return tuple(map(text, value or ()))


def moment(value: object) -> datetime:
    """Returns a time that is given in seconds since 1970, in UTC.

    Raises:
        TypeError: it is not a number.
        ValueError: no date has this number; the C library reports some of these by an OSError.
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"expected a time in seconds, found {type(value).__name__}")
    try:
        return datetime.fromtimestamp(value, timezone.utc)
    except (OSError, OverflowError, ValueError):
        raise ValueError("a time is outside of the years 1 to 9999") from None


def path(value: object) -> str:
    """Returns a text that could be a path on this machine.

    Raises:
        TypeError: it is not a text.
        ValueError: no path can contain its characters.
    """
    found = text(value)
    os.fsencode(found)
    if "\0" in found:
        raise ValueError("a path contains a null character")
    return found

"""What was meant by a mistyped name. Every place that knows the names there are asks here."""

from __future__ import annotations

from collections.abc import Iterable

from tfserve.printable import printable

__all__ = ["did_you_mean", "nearest"]


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

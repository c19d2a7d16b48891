"""Points in time as text, always in one form: RFC 3339, in UTC."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Literal

__all__ = ["rfc3339"]


def rfc3339(moment: datetime, timespec: Literal["seconds", "microseconds"] = "seconds") -> str:
    """Writes a `moment` that knows its time zone: ``2026-01-31T12:00:00Z``."""
    return moment.astimezone(timezone.utc).isoformat(timespec=timespec).replace("+00:00", "Z")

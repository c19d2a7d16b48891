from __future__ import annotations

from datetime import datetime, timedelta, timezone

from tfserve.text import rfc3339

_MOMENT = datetime(2026, 1, 31, 12, 0, 0, 5, timezone(timedelta(hours=2)))


def test_moments_are_told_in_utc() -> None:
    assert rfc3339(_MOMENT) == "2026-01-31T10:00:00Z"
    assert rfc3339(_MOMENT, "microseconds") == "2026-01-31T10:00:00.000005Z"

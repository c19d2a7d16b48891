"""The log of a model server: when a line was written, and what of it matters while the server starts.

Two formats are in the field, and lines without any prefix between them:

- ``2024-07-01 10:00:00.123456: I tensorflow_serving/model_servers/server_core.cc:465] message``
- ``I0000 00:00:1795343248.307201   22632 server_core.cc:516] message``
"""

from __future__ import annotations

import re
from datetime import datetime, timezone

__all__ = ["message", "timestamp"]

_SEPARATE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+): [IWEF] \S+\] ?(.*)")
_ABSL = re.compile(r"[IWEF]\d{4} \d\d:\d\d:(\d+\.\d+)\s+\d+ \S+\] ?(.*)")


def timestamp(line: str) -> datetime | None:
    """When `line` was written, in UTC; None for a line without a prefix, or with a time that does not exist."""
    try:
        if match := _ABSL.match(line):
            return datetime.fromtimestamp(float(match[1]), timezone.utc)
        if match := _SEPARATE.match(line):
            return datetime.fromisoformat(match[1]).astimezone(timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def message(line: str) -> str:
    """The message of `line` without its prefix."""
    if match := _ABSL.match(line):
        return match[2]
    if match := _SEPARATE.match(line):
        return match[2]
    return line

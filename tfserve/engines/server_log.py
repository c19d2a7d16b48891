"""Parses the log of a model server: the times of lines, and the messages that matter while the server starts.

There are two formats of lines, and lines without any prefix between them:

- ``2024-07-01 10:00:00.123456: I tensorflow_serving/model_servers/server_core.cc:465] message``
- ``I0000 00:00:1795343248.307201   22632 server_core.cc:516] message``
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timezone

__all__ = ["begins_a_run", "is_fatal", "load_failure", "message", "port_was_taken", "timestamp"]

_SEPARATE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+): [IWEF] \S+\] ?(.*)")
_ABSL = re.compile(r"[IWEF]\d{4} \d\d:\d\d:(\d+\.\d+)\s+\d+ \S+\] ?(.*)")
# What the server logs when it cannot load a model. It then retries for minutes with its ports closed, or waits forever.
_FATAL = re.compile(
    r"Loading servable: \{name: .+ version: \d+\} failed: "
    r"|No versions of servable .+ found under base path"
    r"|Could not find base path .+ for servable"
    r"|Failed to start server"
)
_LOAD_FAILED = re.compile(r"Loading servable: \{name: (.+) version: (\d+)\} failed: (.*)")


def timestamp(line: str) -> datetime | None:
    """When `line` was written, in UTC; None for a line without a prefix or with an invalid time."""
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


def is_fatal(line: str) -> bool:
    """Whether this log line of a starting server means that it will not become ready."""
    return bool(_FATAL.search(line))


def begins_a_run(line: str) -> bool:
    """Whether this is one of the first lines after a start, so that the lines before it are from an earlier run."""
    return "Building single TensorFlow model file config" in line or "Adding/updating models." in line


def port_was_taken(lines: Iterable[str]) -> bool:
    """Whether a server reports that another program listens on its port."""
    return any(words in line for line in lines for words in ("ddress already in use", "Failed to bind"))


def load_failure(lines: Iterable[str], model: str | None = None) -> str | None:
    """Reports which version could not be loaded and why, from the first such line; None if there is none.

    Args:
        lines: lines of a server's log.
        model: the name of the model; None for any.
    """
    for line in lines:
        failed = _LOAD_FAILED.search(message(line))
        if failed and model in (None, failed[1]):
            return f"Version {failed[2]} of the model {failed[1]!r} cannot be loaded: {failed[3].rstrip('. ')}."
    return None

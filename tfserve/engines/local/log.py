"""Reads the log file of a local server as ``docker logs`` reads the log of a container."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path

from tfserve.engines.server_log import timestamp
from tfserve.text import rfc3339

__all__ = ["read_log"]

_POLL_SECONDS = 0.02


def read_log(
    path: Path,
    *,
    tail: int | None = None,
    since: datetime | None = None,
    timestamps: bool = False,
    more: Callable[[], bool] | None = None,
) -> Iterator[str]:
    """Yields the lines of a log file; none if it does not exist (any more), because its server was removed.

    Args:
        path: the file.
        tail: how many of the last lines to yield; None for all.
        since: yields only lines written after this time. A line without a time counts as written together with the
            line before it.
        timestamps: whether each line begins with the time it was written, in RFC 3339.
        more: returns whether more lines may follow; None to stop at the end of the file.
    """
    try:
        file = path.open(encoding="utf-8", errors="replace", newline="\n")
    except FileNotFoundError:
        return
    with file:
        lines = _dated(file)
        if since is not None:
            lines = ((when, line) for when, line in lines if when >= since)
        present: Iterable[tuple[datetime, str]] = lines if tail is None else deque(lines, maxlen=tail)
        for when, line in present:
            yield _stamped(when, line, timestamps)
        if more is not None:
            for when, line in _dated(_follow(file, more)):
                if since is None or when >= since:
                    yield _stamped(when, line, timestamps)


def _dated(lines: Iterable[str]) -> Iterator[tuple[datetime, str]]:
    when = datetime.fromtimestamp(0, timezone.utc)
    for line in lines:
        when = timestamp(line) or when
        yield when, line.rstrip("\r\n")


def _stamped(when: datetime, line: str, timestamps: bool) -> str:
    return f"{rfc3339(when, 'microseconds')} {line}" if timestamps else line


def _follow(file: Iterable[str], more: Callable[[], bool]) -> Iterator[str]:
    part = ""
    while True:
        alive = more()
        for piece in file:
            part += piece
            if part.endswith("\n"):
                yield part
                part = ""
        if not alive:
            break
        time.sleep(_POLL_SECONDS)
    if part:
        yield part

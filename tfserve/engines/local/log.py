"""Reads the log file of a local server as ``docker logs`` reads the log of a container.

While it is read, the server may remove older lines from the beginning of the file; see `tfserve.log_file`.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path

from tfserve.engines.server_log import timestamp
from tfserve.text import rfc3339

__all__ = ["read_log"]

_POLL_SECONDS = 0.02
_CHUNK_BYTES = 1 << 16
_SEEN_BYTES = 1 << 12  # of several lines, each with a time: they occur once
_SHORTENING_SECONDS = 1.0  # that the file may be empty, while it is written again


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
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    try:
        file, clock = _LogFile(descriptor), _Clock(since)
        lines = clock.dated(file.lines() if more is not None else file.all_lines())
        present: Iterable[tuple[datetime, str]] = lines if tail is None else deque(lines, maxlen=tail)
        for when, line in present:
            yield _stamped(when, line, timestamps)
        if more is not None:
            for when, line in clock.dated(_follow(file, more)):
                yield _stamped(when, line, timestamps)
    finally:
        os.close(descriptor)


class _Clock:
    """Gives each line the time it was written, or that of the line before it, and leaves out those before `since`."""

    def __init__(self, since: datetime | None) -> None:
        self._since = since
        self._now = datetime.fromtimestamp(0, timezone.utc)

    def dated(self, lines: Iterable[str]) -> Iterator[tuple[datetime, str]]:
        for line in lines:
            self._now = timestamp(line) or self._now
            if self._since is None or self._now >= self._since:
                yield self._now, line.rstrip("\r\n")


class _LogFile:
    """A position in a log file, which is found again when the lines before it have been removed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0
        self._seen = b""  # the last bytes before the position
        self._part = b""  # of a line that is not complete

    def lines(self) -> Iterator[str]:
        """Yields the complete lines up to the end of the file."""
        while chunk := self._read():
            *whole, self._part = (self._part + chunk).split(b"\n")
            for line in whole:
                yield line.decode(errors="replace")

    def all_lines(self) -> Iterator[str]:
        """Yields the lines up to the end of the file, also one that is not complete."""
        yield from self.lines()
        if self._part:
            yield self._part.decode(errors="replace")
            self._part = b""

    def _read(self) -> bytes:
        """Returns the bytes after the position, and moves it; none at the end of the file."""
        deadline = time.monotonic() + _SHORTENING_SECONDS
        while True:
            data = os.pread(self._descriptor, len(self._seen) + _CHUNK_BYTES, self._position - len(self._seen))
            if data.startswith(self._seen):
                break
            if not self._find_position() and time.monotonic() > deadline:
                self._position, self._seen, self._part = 0, b"", b""  # everything that was read has been removed
            time.sleep(_POLL_SECONDS)
        chunk = data[len(self._seen) :]
        self._position += len(chunk)
        self._seen = data[-_SEEN_BYTES:]
        return chunk

    def _find_position(self) -> bool:
        """Looks for what was read last, in a file that has become shorter."""
        content = bytearray()
        while piece := os.pread(self._descriptor, 1 << 20, len(content)):
            content += piece
        found = content.rfind(self._seen)
        self._position = self._position if found < 0 else found + len(self._seen)
        return found >= 0


def _stamped(when: datetime, line: str, timestamps: bool) -> str:
    return f"{rfc3339(when, 'microseconds')} {line}" if timestamps else line


def _follow(file: _LogFile, more: Callable[[], bool]) -> Iterator[str]:
    while True:
        alive = more()
        yield from file.lines()
        if not alive:
            break
        time.sleep(_POLL_SECONDS)
    yield from file.all_lines()

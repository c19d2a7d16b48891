"""Limits of time and size for a whole HTTP response.

A socket timeout applies to each read, so a server that sends one byte now and then could keep a client waiting forever.
Here, each read gets the remaining time as its timeout, and what arrives is counted, headers included.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from dataclasses import dataclass
from typing import Any

__all__ = ["Deadline", "LimitedLines", "MinimumSpeed", "Speed", "SpeedClock", "TimedResponse", "TooMuchError"]


_MAX_LINE = 2**16 + 2  # more than http.client accepts


class TooMuchError(OSError):
    """More bytes arrived than are allowed."""


class Deadline:
    """A point in time, `seconds` from now, and a maximum `size` in bytes of what arrives; None for no limit."""

    def __init__(self, seconds: float | None, size: int | None = None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds
        self._left = size

    def apply_to(self, connected: socket.socket) -> None:
        """Sets the timeout of a socket to the remaining time.

        Raises:
            TimeoutError: no time remains.
        """
        if self._end is None:
            connected.settimeout(None)
            return
        remaining = self._end - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        connected.settimeout(remaining)

    def received(self, count: int) -> None:
        """Counts bytes that have arrived.

        Raises:
            TooMuchError: they are more than `size`.
        """
        if self._left is not None:
            self._left -= count
            if self._left < 0:
                raise TooMuchError("more data than expected")


@dataclass(frozen=True)
class Speed:
    """The speed below which a transfer is given up. Only the time in which a program waits for data is counted.

    Attributes:
        window: the length in seconds of the periods in each of which `least` bytes must arrive.
        least: the minimum number of bytes in a period.
        grace: the seconds that a transfer of any size may take.
        average: the bytes for each of which it may take a second longer.
    """

    window: float = 60.0
    least: int = 60 * 2**10
    grace: float = 600.0
    average: int = 16 * 2**10


class SpeedClock:
    """Measures how long a program waits for the data of a transfer, and compares it with a minimum `speed`."""

    def __init__(self, speed: Speed) -> None:
        self._speed = speed
        self._begin = 0.0
        self._waited = self._waited_in_window = 0.0
        self._received = self._received_in_window = 0

    def begin(self) -> float:
        """Begins to wait for data, and returns for how many seconds at most.

        Raises:
            TimeoutError: too little arrived in the time that has passed.
        """
        speed = self._speed
        if self._waited_in_window >= speed.window:
            if self._received_in_window < speed.least:
                raise TimeoutError(f"less than {speed.least} bytes in {speed.window:g} s")
            self._waited_in_window, self._received_in_window = 0.0, 0
        remaining = speed.grace + self._received / speed.average - self._waited
        if remaining <= 0:
            raise TimeoutError(f"less than {speed.average} bytes a second")
        self._begin = time.monotonic()
        return min(remaining, speed.window - self._waited_in_window)

    def received(self, count: int) -> None:
        """Counts bytes that have arrived, and the time since `begin`."""
        waited = time.monotonic() - self._begin
        self._waited += waited
        self._waited_in_window += waited
        self._received += count
        self._received_in_window += count


class MinimumSpeed(Deadline):
    """The limits of a transfer of any size: first those of a `Deadline`, for everything before its body.

    Args:
        seconds: the maximum duration of everything before the body, all redirects included.
        size: the maximum number of bytes of that.
        speed: the minimum speed of the body.
    """

    def __init__(self, seconds: float, size: int, speed: Speed) -> None:
        super().__init__(seconds, size)
        self._clock = SpeedClock(speed)
        self._in_body = False

    def begin_body(self) -> None:
        """Applies the minimum speed from now on."""
        self._in_body = True

    def apply_to(self, connected: socket.socket) -> None:
        """Sets the timeout of a socket to the time in which the next byte must arrive.

        Raises:
            TimeoutError: too little arrived in the time that has passed.
        """
        if self._in_body:
            connected.settimeout(self._clock.begin())
        else:
            super().apply_to(connected)

    def received(self, count: int) -> None:
        """Counts bytes that have arrived, and the time since `apply_to`.

        Raises:
            TooMuchError: they are more than `size`, before the body.
        """
        if self._in_body:
            self._clock.received(count)
        else:
            super().received(count)


class TimedResponse(http.client.HTTPResponse):
    """A response within the limits of `deadline`; a ``response_class`` for http.client, with or without TLS."""

    def __init__(self, connected: socket.socket, *, deadline: Deadline, **options: Any) -> None:
        super().__init__(connected, **options)
        self.fp.close()
        self.fp = LimitedLines(_TimedReader(connected, deadline))


class LimitedLines(io.BufferedReader):
    """A reader whose lines have a limited length."""

    def readline(self, size: int | None = -1) -> bytes:
        """Reads a line of limited length; urllib3 sets no limit for the size of a chunk."""
        limit = _MAX_LINE if size is None or size < 0 else size
        line = super().readline(limit)
        if limit == _MAX_LINE and len(line) == _MAX_LINE:
            raise TooMuchError("a line is too long")
        return line


class _TimedReader(socket.SocketIO):
    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        super().__init__(connected, "r")
        connected._io_refs += 1  # type: ignore[attr-defined] # as in socket.makefile: keeps the socket open
        self._connected = connected
        self._deadline = deadline

    def readinto(self, buffer: Any) -> int | None:
        self._deadline.apply_to(self._connected)
        count = super().readinto(buffer)
        self._deadline.received(count or 0)
        return count

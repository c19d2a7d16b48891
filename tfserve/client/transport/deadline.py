"""One deadline for a whole HTTP response.

A socket timeout applies to each read, so a server that sends one byte now and then could keep a client waiting forever.
Here, each read gets the remaining time as its timeout.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

__all__ = ["Deadline", "TimedResponse"]


class Deadline:
    """A point in time, `seconds` from now."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def apply_to(self, connected: socket.socket) -> None:
        """Sets the timeout of a socket to the remaining time.

        Raises:
            TimeoutError: no time remains.
        """
        remaining = self._end - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        connected.settimeout(remaining)


class TimedResponse(http.client.HTTPResponse):
    """A response that has to be complete at `deadline`; a ``response_class`` for http.client, with or without TLS."""

    def __init__(self, connected: socket.socket, *, deadline: Deadline, **options: Any) -> None:
        super().__init__(connected, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_TimedReader(connected, deadline))


class _TimedReader(io.RawIOBase):
    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline
        self._raw = connected.makefile("rb", buffering=0)  # this also keeps the socket open during the read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._deadline.apply_to(self._socket)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()

"""Holds the whole of an HTTP answer to one deadline.

The timeout of a socket is for each read, so a server that sends a byte now and then would hold a client for ever.
Here each read gets what is left of the time.
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

    def hold(self, connected: socket.socket) -> None:
        """Lets the next operation of a socket take what is left of the time.

        Raises:
            TimeoutError: nothing is left.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connected.settimeout(left)


class TimedResponse(http.client.HTTPResponse):
    """The answer that comes from a socket, TLS or not, until `deadline`; a ``response_class`` of http.client."""

    def __init__(self, connected: socket.socket, *, deadline: Deadline, **options: Any) -> None:
        super().__init__(connected, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_TimedReader(connected, deadline))


class _TimedReader(io.RawIOBase):
    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline
        self._raw = connected.makefile("rb", buffering=0)  # which also keeps the socket open while it is read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._deadline.hold(self._socket)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()

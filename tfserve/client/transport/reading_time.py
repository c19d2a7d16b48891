"""The time that a request may take in all: to send it, to receive the response, and to make values of it."""

from __future__ import annotations

import time

from tfserve.client.failures import too_slow_to_read

__all__ = ["ReadingTime"]


class ReadingTime:
    """The `seconds` from now in which the response of the server at `url` is to be received and read."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Returns how many seconds are left; negative once the time is over."""
        return self._end - time.monotonic()

    def check(self) -> None:
        """Raises the error for a response that takes too long to read, once the time is over.

        Raises:
            TimedOutError: it is.
        """
        if self.remaining() < 0:
            raise too_slow_to_read(self._url, self._seconds)

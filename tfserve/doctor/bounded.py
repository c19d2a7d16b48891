"""Work that goes on beside other work, and is waited for only so long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Bounded"]

T = TypeVar("T")


class Bounded(Generic[T]):
    """Starts `work` in a thread of its own, which nobody waits for when the program ends.

    Args:
        work: what to do.
        seconds: how long it may take, from now on.
    """

    def __init__(self, work: Callable[[], T], seconds: float) -> None:
        self._work = work
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._result: T | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def result(self) -> T:
        """What `work` returned; waits for it as long as it may take.

        Raises:
            TimeoutError: it is not done in time.
            Exception: what `work` raised.
        """
        self._thread.join(max(0.0, self._deadline - time.monotonic()))
        if self._thread.is_alive():
            raise TimeoutError(f"no answer within {self._seconds:g} s")
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value] # None only where T allows it

    def _run(self) -> None:
        try:
            self._result = self._work()
        except Exception as error:  # it is raised again by the thread that waits
            self._error = error

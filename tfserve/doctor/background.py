"""Runs a probe in a background thread that the program does not wait for when it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["in_background"]

T = TypeVar("T")


def in_background(work: Callable[[], T]) -> Future[T]:
    """Starts `work` in a daemon thread.

    An executor would wait for its threads at exit, and so for a Docker Engine or a file system that hangs.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # raised again by Future.result
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future

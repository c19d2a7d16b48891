"""Keeps the log file of a server that tfserve has started from filling the disk; see `tfserve.log_file`.

A server that another program has started writes to a file or pipe of that program, which is left alone.
"""

from __future__ import annotations

import asyncio
import functools
import os

from tfserve.log_file import is_too_large, limit_of, shorten
from tfserve.model_server import log

__all__ = ["keep_bounded"]

_STDERR = 2
_SECONDS, _BUSY_SECONDS = 1.0, 0.05
_PARTS = 16  # if it grows by this part of the limit between two checks, the next one is earlier


def keep_bounded(loop: asyncio.AbstractEventLoop) -> None:
    """Checks the size of the log regularly, if tfserve has set a limit."""
    limit = limit_of(os.environ)
    if limit is not None:
        loop.call_soon(_check, loop, limit, 0)


def _check(loop: asyncio.AbstractEventLoop, limit: int, before: int) -> None:
    try:
        size = os.fstat(_STDERR).st_size
        too_large = is_too_large(_STDERR, limit)
    except OSError:
        return
    if too_large:
        shortening = loop.run_in_executor(None, _shorten, limit)
        shortening.add_done_callback(functools.partial(_check_again, loop, limit))
        return
    busy = size - before > limit // _PARTS
    loop.call_later(_BUSY_SECONDS if busy else _SECONDS, _check, loop, limit, size)


def _check_again(loop: asyncio.AbstractEventLoop, limit: int, shortening: asyncio.Future[None]) -> None:
    """Continues the checks, unless the log cannot be shortened, such as one that is open for writing only."""
    if shortening.cancelled():
        return
    if failure := shortening.exception():
        log.error(f"The log cannot be shortened, and its size is no longer limited: {failure}")
        return
    _check(loop, limit, limit)


def _shorten(limit: int) -> None:
    with log.WRITING:
        shorten(_STDERR, limit)

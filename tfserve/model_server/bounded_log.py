"""Keeps the log file of a server that tfserve has started from filling the disk; see `tfserve.log_file`.

A server that somebody else has started writes to a file or pipe of theirs, which is left alone.
"""

from __future__ import annotations

import asyncio
import os

from tfserve.log_file import LIMIT_VARIABLE, is_too_large, shorten
from tfserve.model_server import log

__all__ = ["keep_bounded"]

_STDERR = 2
_SECONDS, _BUSY_SECONDS = 1.0, 0.05
_PARTS = 16  # if it grows by this part of the limit between two checks, the next one is earlier


def keep_bounded(loop: asyncio.AbstractEventLoop) -> None:
    """Checks the size of the log regularly, if tfserve has set a limit."""
    limit = os.environ.get(LIMIT_VARIABLE, "")
    if limit.isdigit() and int(limit):
        loop.call_soon(_check, loop, int(limit), 0)


def _check(loop: asyncio.AbstractEventLoop, limit: int, before: int) -> None:
    try:
        size = os.fstat(_STDERR).st_size
        too_large = is_too_large(_STDERR, limit)
    except OSError:
        return
    if too_large:
        loop.run_in_executor(None, _shorten, limit).add_done_callback(lambda _: _check(loop, limit, limit))
        return
    busy = size - before > limit // _PARTS
    loop.call_later(_BUSY_SECONDS if busy else _SECONDS, _check, loop, limit, size)


def _shorten(limit: int) -> None:
    with log.WRITING:
        shorten(_STDERR, limit)

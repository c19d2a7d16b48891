"""Memory that requests have freed: shared by all threads, and given back to the system."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import resource

_M_ARENA_MAX = -8  # of glibc's malloc.h
_CHECK_SECONDS = 2.0
_PAGES = 4096  # from which on it is worth giving memory back
_QUIET_PAGES = 1024  # in the time between two checks
_MOST_CHECKS = 3  # until memory is given back although requests use it


def share_freed_memory() -> None:
    """Makes all threads allocate from one arena, if the C library has arenas.

    By default each thread has its own arena, and memory that a large request freed in one of them cannot be used by a
    request in another: the server would grow for hours. ``MALLOC_ARENA_MAX`` in the environment takes precedence.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and "MALLOC_ARENA_MAX" not in os.environ:
        mallopt(_M_ARENA_MAX, 1)


async def give_memory_back() -> None:
    """Gives memory that has been freed back to the system, a few seconds after requests have used it.

    The C library keeps what lies below something that is still used: after an attack that can be most of what it took.
    Runs until it is cancelled; returns if the C library cannot do it.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return
    gc.freeze()  # what the server has loaded is there for good, so that collecting the rest takes little time
    taken = before = _pages_taken()
    waited = 0
    while True:
        await asyncio.sleep(_CHECK_SECONDS)
        now = _pages_taken()
        is_quiet = now - before < _QUIET_PAGES
        before = now
        if now - taken < _PAGES:
            continue
        waited += 1
        if is_quiet or waited == _MOST_CHECKS:
            gc.collect()  # connections that are lost refer to themselves
            await asyncio.to_thread(trim, 0)
            taken, waited = _pages_taken(), 0


def _pages_taken() -> int:
    """Returns how many pages of memory the process has begun to use so far, also those that it has given back."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

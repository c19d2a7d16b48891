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
_FREED_BYTES = 16 << 20  # the same, if it was taken earlier
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


def trim() -> None:
    """Gives memory that has been freed back to the system, if the C library can."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


class _Mallinfo(ctypes.Structure):
    """``struct mallinfo2`` of glibc's malloc.h, without the names of the fields that nothing here needs."""

    _fields_ = (("unused", ctypes.c_size_t * 7), ("used", ctypes.c_size_t), ("more", ctypes.c_size_t * 2))


async def trim_memory() -> None:
    """Gives memory that has been freed back to the system, a few seconds after requests have used it.

    The C library keeps what lies below something that is still used: after an attack that can be most of what it took.
    Runs until it is cancelled; returns if the C library cannot do it.
    """
    info = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if info is None:
        return
    info.restype = _Mallinfo
    used = info().used
    gc.freeze()  # what the server has loaded is there for good, so that collecting the rest takes little time
    taken = before = _pages_taken()
    waited = 0
    while True:
        await asyncio.sleep(_CHECK_SECONDS)
        now = _pages_taken()
        is_quiet = now - before < _QUIET_PAGES
        before = now
        used_now = info().used
        used = max(used, used_now)
        has_freed = used - used_now > _FREED_BYTES  # also what was taken before memory was last given back
        if now - taken < _PAGES and not has_freed:
            continue
        waited += 1
        if is_quiet or waited == _MOST_CHECKS:
            gc.collect()  # connections that are lost refer to themselves
            await asyncio.to_thread(trim)
            taken, waited, used = _pages_taken(), 0, info().used


def _pages_taken() -> int:
    """Returns how many pages of memory the process has begun to use so far, also those that it has given back."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

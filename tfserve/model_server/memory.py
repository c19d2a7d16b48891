"""Memory that requests have freed: shared by all threads, and given back to the system."""

from __future__ import annotations

import asyncio
import ctypes
import os

_M_ARENA_MAX = -8  # of glibc's malloc.h
_CHECK_SECONDS = 2.0
_GROWTH = 16 << 20  # of what is free, from which on it is worth giving it back


def share_freed_memory() -> None:
    """Makes all threads allocate from one arena, if the C library has arenas.

    By default each thread has its own arena, and memory that a large request freed in one of them cannot be used by a
    request in another: the server would grow for hours. ``MALLOC_ARENA_MAX`` in the environment takes precedence.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and "MALLOC_ARENA_MAX" not in os.environ:
        mallopt(_M_ARENA_MAX, 1)


class _Mallinfo(ctypes.Structure):
    """``struct mallinfo2`` of glibc's malloc.h, without the names of the fields that nothing here needs."""

    _fields_ = (("unused", ctypes.c_size_t * 8), ("free", ctypes.c_size_t), ("top", ctypes.c_size_t))


async def give_memory_back() -> None:
    """Gives memory that has been freed back to the system, a few seconds after requests have used it.

    The C library keeps what lies below something that is still used: after an attack that can be most of what it took.
    Runs until it is cancelled; returns if the C library cannot do it.
    """
    library = ctypes.CDLL(None)
    info, trim = getattr(library, "mallinfo2", None), getattr(library, "malloc_trim", None)
    if info is None or trim is None:
        return
    info.restype = _Mallinfo
    kept = info().free
    while True:
        await asyncio.sleep(_CHECK_SECONDS)
        free = info().free
        if free > kept + _GROWTH:
            await asyncio.to_thread(trim, 0)
            free = info().free  # its pages are given back, but the addresses are kept
            kept = free
        kept = min(kept, free)

"""Bounds the log file of a process: once it is too large, its older half is removed.

The file is written through descriptors that are open for appending, as those are that a process inherits as stdout and
stderr. It cannot be renamed and replaced, because the descriptors would follow it, and a process that is confined
cannot open another file. So the newer half is read, the file is truncated, and the newer half is written again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

__all__ = ["LIMIT_VARIABLE", "MAX_BYTES", "is_too_large", "limit_of", "shorten"]

MAX_BYTES = 16 << 20
LIMIT_VARIABLE = "TFSERVE_LOG_MAX_BYTES"
"""The environment variable by which a server knows that stderr is a file of tfserve, and how large it may become."""

_CHUNK_BYTES = 1 << 20
_LIMIT = re.compile("[0-9]{1,18}")


def limit_of(environment: Mapping[str, str]) -> int | None:
    """Returns the limit in bytes that an environment sets; None if the variable is missing, 0, or not a number."""
    text = environment.get(LIMIT_VARIABLE, "")
    return int(text) or None if _LIMIT.fullmatch(text) else None


def is_too_large(descriptor: int, limit: int) -> bool:
    """Whether a file is larger than `limit` bytes."""
    return os.fstat(descriptor).st_size > limit


def shorten(descriptor: int, limit: int) -> None:
    """Keeps the newest lines of a file, at most half of `limit` bytes.

    What another process or thread writes at the moment of the truncation may be lost; callers hold a lock for their own
    lines.

    Args:
        descriptor: the file, open for reading and appending.
        limit: the size in bytes that the file must not exceed.

    Raises:
        OSError: the file cannot be read or written.
    """
    position = max(0, os.fstat(descriptor).st_size - limit // 2)
    kept = bytearray()
    while len(kept) < limit and (piece := os.pread(descriptor, _CHUNK_BYTES, position + len(kept))):
        kept += piece  # another process may write faster than this reads
    if position:
        del kept[: kept.find(b"\n") + 1]  # the first line is not complete
    os.ftruncate(descriptor, 0)
    rest = memoryview(kept)
    while rest:
        rest = rest[os.write(descriptor, rest) :]

"""Reads what a user names, up to a size."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from tfserve.errors import UsageError

__all__ = ["read_bounded"]


def read_bounded(source: str | BinaryIO, limit: int, *, what: str, hint: str) -> bytes:
    """Returns the bytes of a file.

    Args:
        source: its name, in which ``~`` is somebody's home; or the file, open.
        limit: how many bytes it may have at most.
        what: what to call it in an error.
        hint: what to do if it cannot be read.

    Raises:
        UsageError: it cannot be read, or is larger.
    """
    try:
        if isinstance(source, str):
            with Path(source).expanduser().open("rb") as file:
                content = file.read(limit + 1)
        else:
            content = source.read(limit + 1)
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{what} cannot be read: {reason}.", hint=hint) from None
    if len(content) > limit:
        raise UsageError(
            f"{what} is larger than {limit // 2**20} MiB.", hint="No request can hold more: give less at once."
        )
    return content

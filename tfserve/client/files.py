"""Reads a file that the user named, up to a maximum size."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from tfserve.errors import UsageError

__all__ = ["read_bounded"]


def read_bounded(source: str | BinaryIO, limit: int, *, what: str, hint: str) -> bytes:
    """Returns the bytes of a file.

    Args:
        source: the name of the file, in which ``~`` is expanded; or the open file.
        limit: the maximum size, in bytes.
        what: the subject of error messages.
        hint: the hint if it cannot be read.

    Raises:
        UsageError: the file cannot be read, or is larger than `limit`.
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
            f"{what} is larger than {limit // 2**20} MiB.", hint="A request cannot hold more: send it in parts."
        )
    return content

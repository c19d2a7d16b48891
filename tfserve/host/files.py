"""Reads a file that the user named, up to a maximum size."""

from __future__ import annotations

import errno
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

from tfserve.errors import UsageError, Wording
from tfserve.protos.regular_file import open_regular

__all__ = ["read_bounded"]

_PROBLEMS = {
    errno.ENOENT: "does not exist",
    errno.ENOTDIR: "does not exist",
    errno.EISDIR: "is not a file",
    errno.EINVAL: "is not a file",  # of `open_regular`
    errno.ENXIO: "is not a file",  # a socket
}


def read_bounded(
    source: str | Path | BinaryIO,
    limit: int,
    *,
    what: str | Wording,
    hint: str,
    too_large: str | None = None,
    regular: bool = False,
) -> bytes:
    """Returns the content of a file.

    Args:
        source: the path of the file, in which ``~`` is expanded; or the open file.
        limit: the maximum size, in bytes.
        what: the subject of error messages.
        hint: the hint if the file cannot be read.
        too_large: the hint if it is too large; None for the same.
        regular: whether to refuse pipes and devices, which might never end.

    Raises:
        UsageError: the file cannot be read, or is larger than `limit`.
    """

    def error(problem: str, hint: str = hint) -> UsageError:
        return UsageError(Wording("{what} {problem}.", what=what, problem=problem), hint=hint)

    try:
        if isinstance(source, str | Path):
            path = Path(source).expanduser()
            # Only an open file cannot be exchanged for a pipe, which would block.
            with cast("BinaryIO", BufferedReader(open_regular(path))) if regular else path.open("rb") as file:
                content = file.read(limit + 1)
        else:
            content = source.read(limit + 1)
    except (OSError, ValueError, RuntimeError) as failure:
        if regular and isinstance(failure, OSError) and failure.errno in _PROBLEMS:
            raise error(_PROBLEMS[failure.errno]) from None
        reason = failure.strerror if isinstance(failure, OSError) and failure.strerror else str(failure)
        raise error(f"cannot be read: {reason}") from None
    if len(content) > limit:
        size = f"{limit >> 20} MiB" if limit >= 2**20 else f"{limit >> 10} KiB"
        raise error(f"is larger than {size}", too_large or hint)
    return content

"""Bytes in memory that two processes can share: written by one, mapped by the other."""

from __future__ import annotations

import mmap
import os

Buffer = bytes | bytearray | memoryview


class MemoryFile:
    """A file in memory, which is freed when it is closed here and in every process that it was sent to.

    Args:
        descriptor: an open file; by default a new, empty one.

    Attributes:
        descriptor: the file; -1 after `close`.
        size: how many bytes have been written.
    """

    __slots__ = ("descriptor", "size")

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = -1  # if none can be created
        self.descriptor = _create() if descriptor is None else descriptor
        self.size = 0

    def write(self, data: Buffer) -> None:
        """Appends bytes; raises OSError if there is no memory for them."""
        rest = memoryview(data).cast("B") if isinstance(data, memoryview) else memoryview(data)
        self.size += len(rest)
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]

    def map(self, size: int) -> mmap.mmap:
        """Returns the first `size` bytes, read-only; the mapping outlives the file. `size` is not 0."""
        return mmap.mmap(self.descriptor, size, access=mmap.ACCESS_READ)

    def close(self) -> None:
        """Closes the file; more than once is allowed."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def _create() -> int:
    """Returns the descriptor of a new file: in memory where the system has such files, else one without a name."""
    create = getattr(os, "memfd_create", None)
    if create is not None:
        return int(create("tfserve"))
    import tempfile

    descriptor, path = tempfile.mkstemp()
    os.unlink(path)  # noqa: PTH108, the name of the descriptor, not a Path
    return descriptor

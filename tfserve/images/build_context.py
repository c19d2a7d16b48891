"""The sources of a build, packed into a file that is nowhere but open, and sent; neither goes on once it is stopped."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Parcel", "ParcelStoppedError"]

_PIECE_BYTES = 2**20


class ParcelStoppedError(Exception):
    """Somebody stopped it."""


class Parcel:
    """Packed sources, as a file for whoever packs and whoever sends them."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the parcel
        self._stopped = threading.Event()

    def pack(self, source: Path, dockerfile: str) -> None:
        """Packs what is below `source`, but for what its ``.dockerignore`` names.

        Raises:
            OSError: something cannot be read, or there is no room.
            ParcelStoppedError: somebody stopped it.
        """
        from docker.utils.build import tar

        ignore = source / ".dockerignore"
        lines = [line.strip() for line in ignore.read_text().splitlines()] if ignore.exists() else []
        exclude = [line for line in lines if line and not line.startswith("#")]
        tar(str(source), exclude=exclude or None, dockerfile=(dockerfile, None), fileobj=self)

    def stop(self) -> None:
        """Has whoever packs or sends it fail."""
        self._stopped.set()

    def write(self, data: bytes) -> int:
        """Packs more."""
        self._go_on()
        return self._file.write(data)

    def read(self, size: int = -1) -> bytes:
        """Returns the next `size` bytes."""
        self._go_on()
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Goes to another place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The place that is read or written next."""
        return self._file.tell()

    def __len__(self) -> int:
        self._file.flush()
        return os.fstat(self._file.fileno()).st_size

    def __bool__(self) -> bool:  # an empty one, too, is a file
        return True

    def __iter__(self) -> Iterator[bytes]:  # for requests to see that it can be sent piece by piece
        while piece := self.read(_PIECE_BYTES):
            yield piece

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise ParcelStoppedError

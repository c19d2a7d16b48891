"""The build context: the sources of a build, packed into an unnamed temporary file and sent to the engine."""

from __future__ import annotations

import os
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from tfserve.host.files import read_bounded
from tfserve.models.tree import open_resolved

__all__ = ["BuildContext", "BuildContextStoppedError"]

_PIECE_BYTES = 2**20
_MAX_IGNORE_BYTES = 2**20


class BuildContextStoppedError(Exception):
    """The build context was stopped while it was packed or sent."""


class BuildContext:
    """The packed sources, as a file that can be stopped from another thread."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it is open as long as the context
        self._stopped = threading.Event()

    def pack(self, source: Path, dockerfile: str) -> None:
        """Packs the directory `source`, without the files that its ``.dockerignore`` excludes.

        Links are packed as links, even if one takes the place of a file meanwhile.

        Raises:
            OSError: a file cannot be read, or was replaced by something else while it was packed; or the disk is full.
            UsageError: ``.dockerignore`` is not a file, or is too large.
            BuildContextStoppedError: the context was stopped.
        """
        from docker.utils.build import exclude_paths

        root = source.resolve()
        with tarfile.open(fileobj=cast("IO[bytes]", self), mode="w") as tar:
            for name in sorted(exclude_paths(str(root), _excluded(root / ".dockerignore"), dockerfile=dockerfile)):
                entry = tar.gettarinfo(str(root / name), arcname=name)
                if entry is None:  # a socket
                    continue
                if not entry.isreg():
                    tar.addfile(entry)
                    continue
                with open_resolved(root / name) as file:
                    entry.size = os.fstat(file.fileno()).st_size
                    tar.addfile(entry, file)
        self.seek(0)

    def stop(self) -> None:
        """Makes all further reads and writes fail."""
        self._stopped.set()

    def write(self, data: bytes) -> int:
        """Appends `data`."""
        self._check_stopped()
        return self._file.write(data)

    def read(self, size: int = -1) -> bytes:
        """Returns the next `size` bytes."""
        self._check_stopped()
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves to another position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Returns the current position."""
        return self._file.tell()

    def __len__(self) -> int:
        self._file.flush()
        return os.fstat(self._file.fileno()).st_size

    def __bool__(self) -> bool:  # requests would not send a false body
        return True

    def __iter__(self) -> Iterator[bytes]:  # makes requests stream the body
        while piece := self.read(_PIECE_BYTES):
            yield piece

    def _check_stopped(self) -> None:
        if self._stopped.is_set():
            raise BuildContextStoppedError


def _excluded(ignore: Path) -> list[str]:
    """Returns the patterns in the file ``.dockerignore``, if it exists."""
    if not ignore.exists():
        return []
    text = read_bounded(
        ignore, _MAX_IGNORE_BYTES, what=repr(str(ignore)), hint="Check that it is a small text file.", regular=True
    )
    lines = (line.strip() for line in text.decode(errors="replace").splitlines())
    return [line for line in lines if line and not line.startswith("#")]

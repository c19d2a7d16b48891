"""Writes and reads files in a container through the engine, which also works for an engine on another machine."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from tfserve.engines.docker.client import docker_errors
from tfserve.host.deadline import Speed, SpeedClock
from tfserve.models.extract import ENTRIES_VARIABLE, Limits
from tfserve.models.tree import open_resolved, reading, walk

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["copy_directory", "exists", "names_in", "read_text", "write_texts"]

_IN_MEMORY = 16 << 20
_MAX_TEXT_BYTES = 1 << 20
_TEXT_SPEED = Speed(grace=60.0)
_DIRECTORY_SPEED = Speed()
_MAX_HEADER_BYTES = 1 << 20  # tarfile reads a long name at once


def write_texts(client: APIClient, container: str, files: Mapping[str, str]) -> None:
    """Writes text files by their paths in a container, running or not; all users in it may read them."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as archive:
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for path, text in files.items():
                content = text.encode()
                entry = tarfile.TarInfo(path.lstrip("/"))
                entry.size, entry.mode = len(content), 0o644
                tar.addfile(entry, io.BytesIO(content))
        archive.seek(0)
        with docker_errors():
            client.put_archive(container, "/", archive)


def copy_directory(client: APIClient, container: str, source: Path, target: str) -> None:
    """Copies a directory of this machine into a container; all users in it may read it.

    Raises:
        SavedModelError: a file cannot be read, or is a link out of the directory; see `tfserve.models.tree.walk`.
    """
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as archive:
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for file in walk(source, source):
                entry = tarfile.TarInfo("/".join(filter(None, (target.lstrip("/"), file.name))))
                entry.mtime = int(max(file.path.lstat().st_mtime, 0))
                if file.size is None:
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(entry)
                    continue
                entry.mode = 0o644
                with reading(file.path), open_resolved(file.path) as content:
                    entry.size = os.fstat(content.fileno()).st_size
                    tar.addfile(entry, content)
        archive.seek(0)
        with docker_errors():
            client.put_archive(container, "/", archive)


def read_text(client: APIClient, container: str, path: str) -> str | None:
    """Returns the content of a text file in a container; None if the file or the container does not exist.

    Raises:
        UnexpectedAnswerError: the file is larger than any that tfserve writes.
        EngineUnavailableError: the engine sends it too slowly.
    """
    import docker.errors

    with docker_errors():
        try:
            chunks: Any = client.get_archive(container, path)[0]
        except docker.errors.APIError:
            return None
        with closing(chunks):
            content = b"".join(_limited(chunks, path, _MAX_TEXT_BYTES, _TEXT_SPEED))
    with suppress(tarfile.TarError, UnicodeDecodeError, ValueError), tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for entry in tar:
            file = tar.extractfile(entry)
            if file is not None:
                return file.read().decode()
    return None


def names_in(client: APIClient, container: str, path: str) -> set[str]:
    """Returns the names in a directory of a container. The engine cannot list them, so all files are read.

    Raises:
        UnexpectedAnswerError: there are more files than in any model, or larger ones.
        EngineUnavailableError: the engine sends them too slowly.
    """
    import docker.errors

    limits = Limits.configured()
    with docker_errors():
        try:
            chunks: Any = client.get_archive(container, path)[0]
        except docker.errors.NotFound:
            return set()
        names: set[str] = set()
        pieces = _limited(chunks, path, limits.size, _DIRECTORY_SPEED)
        with closing(chunks), tarfile.open(fileobj=_Forward(pieces), mode="r:") as archive:  # type: ignore[call-overload]
            for count, entry in enumerate(archive):
                if count > limits.entries:
                    raise ValueError(f"{path!r} has more than {limits.entries:,} files ({ENTRIES_VARIABLE})")
                parts = PurePosixPath(entry.name).parts
                names.update(parts[1:2])
                archive.members = []  # tarfile keeps them all
        return names


def _limited(chunks: Iterator[bytes], path: str, size: int, speed: Speed) -> Iterator[bytes]:
    """Yields what an engine sends of `path`, up to `size` bytes; each wait has the timeout of the client."""
    clock = SpeedClock(speed)
    left = size
    while True:
        clock.begin()
        chunk = next(chunks, None)
        if chunk is None:
            return
        clock.received(len(chunk))
        left -= len(chunk)
        if left < 0:
            raise ValueError(f"{path!r} is larger than {size:,} bytes")
        yield chunk


class _Forward:
    """The chunks that an engine sends, as a file that is read forward; it refuses implausible headers."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""
        self._position = 0

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        found = bytearray()
        while len(found) < size and (self._left or self._next()):
            piece, self._left = self._left[: size - len(found)], self._left[size - len(found) :]
            found += piece
        self._position += len(found)
        return bytes(found)

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> int:
        if position < self._position:
            raise tarfile.ReadError("an offset points backwards")
        while (left := position - self._position) and (self._left or self._next()):
            skipped = min(left, len(self._left))
            self._left = self._left[skipped:]
            self._position += skipped
        return self._position

    def _next(self) -> bytes:
        self._left = next(self._chunks, b"")
        return self._left


def exists(client: APIClient, container: str, path: str) -> bool:
    """Whether a file or directory exists at `path` in a container."""
    import docker.errors

    with docker_errors():
        try:
            chunks: Any = client.get_archive(container, path)[0]
        except docker.errors.NotFound:
            return False
        with closing(chunks):
            return True

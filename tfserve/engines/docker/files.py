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
from tfserve.models.tree import open_resolved, reading, walk

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["copy_directory", "exists", "names_in", "read_text", "write_texts"]

_IN_MEMORY = 16 << 20


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
        client.put_archive(container, "/", archive)


def read_text(client: APIClient, container: str, path: str) -> str | None:
    """Returns the content of a text file in a container; None if the file or the container does not exist."""
    import docker.errors

    with docker_errors():
        try:
            chunks, _ = client.get_archive(container, path)
            archive = io.BytesIO(b"".join(chunks))
        except docker.errors.APIError:
            return None
    with suppress(tarfile.TarError, UnicodeDecodeError), tarfile.open(fileobj=archive) as tar:
        for entry in tar:
            content = tar.extractfile(entry)
            if content is not None:
                return content.read().decode()
    return None


def names_in(client: APIClient, container: str, path: str) -> set[str]:
    """Returns the names in a directory of a container. The engine cannot list them, so all files are read."""
    import docker.errors

    with docker_errors():
        try:
            chunks: Any = client.get_archive(container, path)[0]
        except docker.errors.NotFound:
            return set()
        with closing(chunks), tarfile.open(fileobj=_Stream(chunks), mode="r|") as archive:
            paths = (PurePosixPath(entry.name).parts for entry in archive)
            return {parts[1] for parts in paths if len(parts) > 1}


class _Stream(io.RawIOBase):
    """The chunks that an engine sends, as a file that can be read once."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = next(self._chunks, b"")
        some, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(some)] = some
        return len(some)


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

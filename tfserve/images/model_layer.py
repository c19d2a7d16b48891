"""A tar with models for an image: laid out as ``/models`` in a serving image, and streamed regardless of its size.

The same models produce the same bytes, and so the same image layer: entries are sorted, have no timestamps, are owned
by root and readable by all users. Links are followed, but not out of the model; see `tfserve.models.tree`.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tfserve.errors import SavedModelError
from tfserve.models.saved_model import Layout, ModelDirectory, ModelVersion
from tfserve.models.tree import open_resolved, reading, walk

__all__ = ["Entry", "ModelArchive", "layout"]

_CHUNK_BYTES = 2**18
_PIECES_AT_MOST = 4  # in memory
_END = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True)
class Entry:
    """A directory or a file of the tar.

    Attributes:
        name: the path in the image, without the leading slash.
        content: the file to read, with links resolved, or the content itself; None for a directory.
        size: the size of the content in bytes.
        model: the name of the model that the entry belongs to; None for other files.
    """

    name: str
    content: Path | bytes | None = None
    size: int = 0
    model: str | None = None


class ModelArchive:
    """The tar, created while it is read, in constant memory; it can be read once.

    Args:
        entries: the entries, as returned by `layout`.
        on_progress: called with the number of bytes of the models read so far.

    Raises:
        SavedModelError: while reading: a file cannot be read, or has changed.
    """

    def __init__(self, entries: Sequence[Entry], on_progress: Callable[[int], None] = lambda done: None) -> None:
        self._entries = entries
        self._on_progress = on_progress
        self._hashes = {entry.model: hashlib.sha256() for entry in entries if entry.model is not None}

    @property
    def digests(self) -> dict[str, str]:
        """The digest of the paths, sizes and contents of each model's files, available after the tar has been read."""
        return {model: f"sha256:{found.hexdigest()}" for model, found in self._hashes.items()}

    def __iter__(self) -> Iterator[bytes]:
        """Yields the tar in pieces; a thread computes the digests in the meantime."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            yield from self._pieces(pool)

    def _pieces(self, pool: ThreadPoolExecutor) -> Iterator[bytes]:
        done = 0
        digested: deque[Future[None]] = deque()
        for entry in self._entries:
            yield _header(entry)
            found = self._hashes.get(entry.model) if entry.model is not None else None
            if found is not None and entry.content is not None:
                path = entry.name.partition(f"/{entry.model}/")[2]
                pool.submit(found.update, b"%s\0%d\0" % (os.fsencode(path), entry.size))
            for piece in _content(entry):
                if found is not None:
                    digested.append(pool.submit(found.update, piece))
                    if len(digested) > _PIECES_AT_MOST:
                        digested.popleft().result()
                    done += len(piece)
                    self._on_progress(done)
                yield piece
            yield bytes(-entry.size % tarfile.BLOCKSIZE)
        yield _END


def layout(root: str, models: Mapping[str, ModelDirectory], files: Mapping[str, bytes]) -> list[Entry]:
    """Lays out models below `root`: all versions of each model, without other files in their directories.

    Args:
        root: the absolute path of the models in the image; its parent exists.
        models: the models by name.
        files: additional files, by their names in `root`.

    Raises:
        SavedModelError: part of a model cannot be read, is neither a file nor a directory, or is a link out of it.
    """
    top = root.removeprefix("/")
    entries = [Entry(top), *(Entry(f"{top}/{name}", content, len(content)) for name, content in files.items())]
    for name, directory in models.items():
        entries.append(Entry(f"{top}/{name}", model=name))
        numbers = [version.number for version in directory.versions]
        if len(set(numbers)) < len(numbers):
            raise SavedModelError(
                f"Two directories in {str(directory.path)!r} are the same version, such as 1 and 01.",
                hint="Remove one of them, or give it another number.",
            )
        for version in directory.versions:
            inside = f"{top}/{name}/{version.number}"
            for file in walk(_directory_of(version, directory), directory.path):
                path = f"{inside}/{file.name}" if file.name else inside
                entries.append(Entry(path, None if file.size is None else file.path, file.size or 0, name))
    return sorted(entries, key=lambda entry: entry.name.split("/"))


def _directory_of(version: ModelVersion, directory: ModelDirectory) -> Path:
    """Returns the directory of a version as it is named in its model, where it may be a link."""
    if directory.layout is not Layout.BASE_PATH:
        return version.path
    with reading(directory.path):
        return next((entry for entry in directory.path.iterdir() if entry.resolve() == version.path), version.path)


def _header(entry: Entry) -> bytes:
    header = tarfile.TarInfo(entry.name)
    header.uname = header.gname = "root"  # the ids and the time are 0 by default
    header.type = tarfile.DIRTYPE if entry.content is None else tarfile.REGTYPE
    header.mode = 0o755 if entry.content is None else 0o644
    header.size = entry.size
    return header.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _content(entry: Entry) -> Iterator[bytes]:
    if isinstance(entry.content, bytes):
        yield entry.content
    elif entry.content is not None:
        yield from _read(entry.content, entry.size)


def _read(path: Path, size: int) -> Iterator[bytes]:
    """Reads a file that must have `size` bytes."""
    left = size
    with reading(path), open_resolved(path) as file:
        while piece := file.read(min(_CHUNK_BYTES, left)):
            left -= len(piece)
            yield piece
        changed = left or file.read(1)
    if changed:
        raise SavedModelError(
            f"{str(path)!r} changed while it was being read.", hint="Wait until the export of the model is complete."
        )

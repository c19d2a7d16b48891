"""Unpacks archives of models without trusting them.

Only files and directories are created, below one directory, with the permissions of new files: no links, devices or
owners. The sizes that an archive declares are ignored; the bytes that come out are counted.

tarfile's ``filter="data"`` would not replace any of these checks: it accepts links, strips the leading slash of an
absolute path instead of refusing it, applies the archive's permissions, counts nothing, and does not exist for zips.
"""

from __future__ import annotations

import errno
import gzip
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from tfserve.errors import SavedModelError, UsageError
from tfserve.text import printable

__all__ = ["ENTRIES_VARIABLE", "GIB", "SIZE_VARIABLE", "Limits", "Unpacked", "unpack"]

GIB = 2**30
SIZE_VARIABLE = "TFSERVE_ARCHIVE_MAX_GIB"
ENTRIES_VARIABLE = "TFSERVE_ARCHIVE_MAX_ENTRIES"

_CHUNK_BYTES = 2**20
_MAX_DEPTH = 32
_ENTRY_BYTES = 400  # of the list of a zip, for one entry with a long name
_MAX_HEADER_BYTES = 2**20  # tarfile reads a long name, or a table of names, at once
_GZIP, _ZIP = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06")
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    ValueError,  # an invalid number or text
    RuntimeError,  # endlessly nested headers, and features that zipfile does not support
)
_HINT = "Download or copy it again, and compare its size and digest with the original."


@dataclass(frozen=True)
class Limits:
    """The limits for the contents of an archive.

    Attributes:
        size: the total size of its files in bytes.
        entries: the number of its files and directories.
        ratio: how many times larger than the archive its contents may be beyond 1 GiB; None for no limit.
    """

    size: int = 64 * GIB
    entries: int = 100_000
    ratio: int | None = 100

    @classmethod
    def configured(cls) -> Limits:
        """Returns the limits set by ``TFSERVE_ARCHIVE_MAX_GIB`` and ``TFSERVE_ARCHIVE_MAX_ENTRIES`` in the environment.

        Raises:
            UsageError: a variable is not a number.
        """
        gibibytes, entries = _number(SIZE_VARIABLE), _number(ENTRIES_VARIABLE)
        return cls(
            size=cls.size if gibibytes is None else int(gibibytes * GIB),
            entries=cls.entries if entries is None else int(entries),
            ratio=cls.ratio if gibibytes is None else None,  # a user who sets a limit knows the contents
        )

    def size_of(self, packed: int) -> int:
        """Returns how many bytes may be unpacked from an archive of `packed` bytes."""
        return self.size if self.ratio is None else min(self.size, max(GIB, self.ratio * packed))


@dataclass
class Unpacked:
    """The total size of the unpacked files in bytes, and their number."""

    size: int = 0
    files: int = 0


def unpack(
    archive: BinaryIO,
    target: Path,
    *,
    shown: str,
    limits: Limits,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Unpacked:
    """Unpacks a tar, a gzipped tar or a zip, whatever its name.

    Args:
        archive: the archive, opened.
        target: the directory to create; after an error, the caller removes it.
        shown: the name of the archive in error messages.
        limits: how much may be unpacked.
        on_progress: called with the number of bytes of the archive read so far.

    Raises:
        SavedModelError: the file is not an archive, is damaged or too large, or contains something no model needs.
        OSError: the archive cannot be read, or `target` cannot be written.
    """
    target.mkdir()
    unpacking = _Unpacking(target, shown, limits.size_of(os.fstat(archive.fileno()).st_size), limits.entries)
    archive.seek(0)
    magic = archive.read(4)
    archive.seek(0)
    with _archive_errors(shown):
        if magic.startswith(_ZIP):
            _unpack_zip(archive, unpacking, on_progress)
        elif magic.startswith(_GZIP):
            with gzip.GzipFile(fileobj=archive) as plain:
                _unpack_tar(cast("IO[bytes]", plain), unpacking, lambda: on_progress(archive.tell()))
        else:
            _unpack_tar(archive, unpacking, lambda: on_progress(archive.tell()))
    return unpacking.done


@contextmanager
def _archive_errors(shown: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        detail = printable(str(error), limit=200) or type(error).__name__
        raise SavedModelError(
            f"{shown!r} is damaged or truncated, or not a tar or zip archive: {detail}.", hint=_HINT
        ) from None


class _Unpacking:
    """Creates the files and directories of one archive, and counts them."""

    def __init__(self, target: Path, shown: str, size: int, entries: int) -> None:
        self.target = target
        self.shown = shown
        self.size = size
        self.entries = entries
        self.made = 0
        self.done = Unpacked()

    def refuse(
        self, reason: str, hint: str = "A model needs only files and directories. Pack it again."
    ) -> SavedModelError:
        return SavedModelError(f"{self.shown!r} was not unpacked: {reason}.", hint=hint)

    def directory(self, name: str) -> None:
        with self._making(name) as path:
            path.mkdir(parents=True, exist_ok=True)

    def file(self, name: str, size: int, reader: IO[bytes]) -> None:
        with self._making(name) as path:
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = path.open("xb")
        with writer:
            left = size
            while piece := reader.read(_CHUNK_BYTES):
                left -= len(piece)
                self.done.size += len(piece)
                if self.done.size > self.size:
                    raise self.too_large()
                writer.write(piece)
        if left:
            raise EOFError(f"{name!r} has fewer than {size} bytes")
        self.done.files += 1

    def too_large(self) -> SavedModelError:
        return self.refuse(
            f"it contains more than {self.size / GIB:.3g} GiB",
            f"If the model is that large, raise the limit: export {SIZE_VARIABLE}=500",
        )

    def too_many(self) -> SavedModelError:
        return self.refuse(
            f"it contains more than {self.entries} files and directories",
            f"If the model needs that many, raise the limit: export {ENTRIES_VARIABLE}=1000000",
        )

    @contextmanager
    def _making(self, name: str) -> Iterator[Path]:
        """Counts an entry, checks its `name`, and yields its path."""
        self.made += 1
        if self.made > self.entries:
            raise self.too_many()
        named = printable(name, limit=200)
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
            raise self.refuse(f"the path {named!r} in it could leave the model's directory")
        if len(parts) > _MAX_DEPTH:
            raise self.refuse(f"its directories are nested more than {_MAX_DEPTH} deep")
        try:
            yield self.target.joinpath(*parts)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise self.refuse(f"it contains {named!r} twice") from None
        except OSError as error:
            if error.errno not in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL):
                raise
            raise self.refuse(f"the name {named!r} in it is not valid on this file system") from None


def _unpack_tar(raw: IO[bytes], unpacking: _Unpacking, on_progress: Callable[[], None]) -> None:
    plain = _Forward(raw, unpacking)
    with tarfile.open(fileobj=plain, mode="r:") as tar:  # type: ignore[call-overload]
        for member in tar:
            if member.isdir():
                unpacking.directory(member.name)
            elif member.isreg():
                unpacking.file(member.name, member.size, cast("IO[bytes]", tar.extractfile(member)))
            else:
                kind = "a link" if member.issym() or member.islnk() else "neither a file nor a directory"
                raise unpacking.refuse(f"{printable(member.name, limit=200)!r} in it is {kind}")
            on_progress()
    if plain.last != bytes(tarfile.BLOCKSIZE):
        raise EOFError("the end-of-archive marker is missing")
    while plain.read(_CHUNK_BYTES):  # so that gzip verifies its checksum
        pass


class _Forward:
    """The part of the file interface that tarfile needs; it reads forward only, and refuses implausible sizes."""

    def __init__(self, raw: IO[bytes], unpacking: _Unpacking) -> None:
        self._raw = raw
        self._unpacking = unpacking
        self._position = 0
        # In addition to its files, a tar has up to three headers per entry, and long names.
        self._limit = unpacking.size + 2**14 * unpacking.entries + _MAX_HEADER_BYTES
        self.last = b""

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _CHUNK_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self.last = self._raw.read(size)
        self._position += len(self.last)
        if self._position > self._limit:
            raise self._unpacking.too_large()
        return self.last

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> int:
        if position < self._position:
            raise tarfile.ReadError("an offset points backwards")
        while left := position - self._position:
            if not self.read(min(left, _CHUNK_BYTES)):
                break
        return self._position


def _unpack_zip(file: IO[bytes], unpacking: _Unpacking, on_progress: Callable[[int], None]) -> None:
    _check_directory(file, unpacking)
    with zipfile.ZipFile(file) as archive:
        packed = 0
        for member in archive.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                what = "a link" if kind == stat.S_IFLNK else "neither a file nor a directory"
                raise unpacking.refuse(f"{printable(member.filename, limit=200)!r} in it is {what}")
            if member.flag_bits & 1:
                raise unpacking.refuse("it is encrypted", "Pack it again without a password.")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise unpacking.refuse("its compression method is not deflate", "Pack it again: zip -r")
            if member.header_offset < 0:
                raise zipfile.BadZipFile("an entry has a negative offset")
            if member.is_dir():
                unpacking.directory(member.filename)
            else:
                with archive.open(member) as content:
                    unpacking.file(member.filename, member.file_size, content)
            packed += member.compress_size
            on_progress(packed)


def _check_directory(file: IO[bytes], unpacking: _Unpacking) -> None:
    """Refuses a zip with a list of entries that is too long, which zipfile reads at once and keeps in memory."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if end and end[zipfile._ECD_SIZE] > unpacking.entries * _ENTRY_BYTES + _MAX_HEADER_BYTES:  # type: ignore[attr-defined]
        raise unpacking.too_many()


def _number(variable: str) -> float | None:
    text = os.environ.get(variable)
    if not text:
        return None
    try:
        number = float(text)
        if 0 < number < 2**40:
            return number
    except ValueError:
        pass
    raise UsageError(
        f"{variable}={text!r} is not a number.", hint=f"Set it to a number above 0, such as {variable}=100000."
    )

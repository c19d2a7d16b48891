"""The files of a model, found and opened without leaving its directory.

The files of a model can belong to a stranger, who could place a link to a private file of this user among them, or
exchange a file for a link between the check and the copy. A link is therefore followed only to a target in the model,
and every file is opened component by component from the root directory, where the kernel refuses links.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import BinaryIO

from tfserve.errors import SavedModelError
from tfserve.models.extract import ENTRIES_VARIABLE, Limits

__all__ = ["ModelFile", "open_resolved", "reading", "walk"]

_READ_HINT = "Check that you have read permission on all files of the model, and that all links have a target."
_LINK_HINT = "Remove the link; if its target belongs to the model, copy the target to its place."
_MAX_DEPTH = 128
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
_SEARCH = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | _FLAGS
_BY_COMPONENTS = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")


@dataclass(frozen=True)
class ModelFile:
    """A directory or a regular file of a model.

    Attributes:
        name: the path relative to the directory that was walked, separated by slashes; empty for that directory.
        path: the absolute path, with links resolved.
        size: the size in bytes; None for a directory.
    """

    name: str
    path: Path
    size: int | None


def walk(start: Path, root: Path) -> Iterator[ModelFile]:
    """Yields `start` and everything below it, each directory before its contents.

    Args:
        start: a directory of the model; it may be a link.
        root: the directory of the model, absolute and with links resolved; all links must lead to a file in it.

    Raises:
        SavedModelError: a file cannot be read, or is neither a file nor a directory; or a link leaves the model, has no
            target, or leads to one of its parent directories; or there are too many files.
    """
    limit = Limits.configured().entries
    pending: list[tuple[str, Path, tuple[Path, ...]]] = [("", start, ())]
    count = 0
    while pending:
        name, path, above = pending.pop()
        count += 1
        if count > limit:
            raise SavedModelError(
                f"{str(root)!r} contains more than {limit} files and directories, counted through links.",
                hint=f"If the model needs that many, raise the limit: export {ENTRIES_VARIABLE}=1000000",
            )
        with reading(path):
            found = _examine(name, path, root)
            if found.path in above or len(above) > _MAX_DEPTH:
                raise _looping(path, found.path in above)
            children = _names(found.path) if found.size is None else ()
        yield found
        inside = (*above, found.path)
        prefix = f"{name}/" if name else ""
        pending += ((f"{prefix}{child}", found.path / child, inside) for child in children)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Explains the errors of the operating system while the file or directory at `path` is read."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise SavedModelError(f"{str(path)!r} cannot be read: {why}.", hint=_READ_HINT) from None


def open_resolved(path: Path) -> BinaryIO:
    """Opens a regular file for reading, without buffer.

    Args:
        path: an absolute path in which links have been resolved.

    Raises:
        OSError: the file cannot be read, is not a regular file, or a component of the path has become a link.
    """
    descriptor = _open(path)
    try:
        if not S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        return os.fdopen(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def _examine(name: str, path: Path, root: Path) -> ModelFile:
    """Returns what is at `path`; the target of a link is checked to be in `root`."""
    found = path.lstat()
    if S_ISLNK(found.st_mode) or not path.is_relative_to(root):
        path = _target(path, root)
        found = path.lstat()
    if S_ISREG(found.st_mode):
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return ModelFile(name, path, found.st_size)
    if S_ISDIR(found.st_mode):
        return ModelFile(name, path, None)
    raise _special(path)


def _target(link: Path, root: Path) -> Path:
    try:
        target = link.resolve(strict=True)
    except RuntimeError:  # up to Python 3.12
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
    if not target.is_relative_to(root):
        raise SavedModelError(
            f"{str(link)!r} is a link to {str(target)!r}, which is outside of the model {str(root)!r}.", hint=_LINK_HINT
        )
    return target


def _names(directory: Path) -> list[str]:
    descriptor = _open(directory)
    try:
        return os.listdir(descriptor if os.listdir in os.supports_fd else directory)  # noqa: PTH208 - Path takes no descriptor
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    if not _BY_COMPONENTS:
        return os.open(path, _FLAGS | getattr(os, "O_BINARY", 0))
    top, *directories, last = path.parts
    directory = os.open(top, _SEARCH)
    try:
        for name in directories:
            below = os.open(name, _SEARCH, dir_fd=directory)
            os.close(directory)
            directory = below
        return os.open(last, _FLAGS, dir_fd=directory)
    finally:
        os.close(directory)


def _looping(path: Path, loops: bool) -> SavedModelError:
    if loops:
        return SavedModelError(f"{str(path)!r} is a link to one of its parent directories.", hint="Remove the link.")
    return SavedModelError(f"{str(path)!r} is nested more than {_MAX_DEPTH} directories deep.", hint=_LINK_HINT)


def _special(path: Path) -> SavedModelError:
    return SavedModelError(
        f"{str(path)!r} is neither a file nor a directory.", hint="Remove it: it is not part of a SavedModel."
    )

"""Opens the models and files that a sandboxed server can read, without being led to other files of its user.

They may belong to another user, who can exchange them for links at any time, also between two starts of the server. So
a link of another user is only followed to what belongs to that user.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path, PurePath
from stat import S_ISDIR, S_ISLNK, S_ISREG

__all__ = ["open_model", "open_named", "reads_all_below"]

_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")
_FILES = (*_MODEL_FILES, "saved_model.cpb", "fingerprint.pb", "keras_metadata.pb", "model.tflite")
_DIRECTORIES = ("variables", "assets", "assets.extra", "debug")
_MAX_LINKS = 40  # as in the kernel
_ROOT = 0


def open_model(base_path: Path) -> list[int]:
    """Opens a model's directory, and the files of SavedModels to which links in place of its versions lead.

    The descriptors are for use in a ruleset, and the caller closes them. What cannot be opened is left out. Other links
    that lead out of the model are not followed: it could be a stranger's, with links to any file of this user.

    Of a directory that is a SavedModel itself, only its files are opened: it can hold others, such as a home directory.
    """
    opened: list[int] = []
    with suppress(OSError):
        base = _open(base_path)
        opened.append(base)
        if saved_model := _open_saved_model(base):
            os.close(opened.pop())
            return saved_model
        for name in _names(base):
            if name.isascii() and name.isdigit() and S_ISLNK(os.lstat(name, dir_fd=base).st_mode):
                opened += _open_version(name, base)
    return opened


def reads_all_below(base_path: Path) -> bool:
    """Whether `open_model` opens a directory with all that is in it, and not the files of a SavedModel alone."""
    return base_path.is_dir() and not any((base_path / name).is_file() for name in _MODEL_FILES)


def open_named(paths: Iterable[str]) -> list[int]:
    """Opens files or directories, as `open_model` does."""
    opened: list[int] = []
    for path in paths:
        with suppress(OSError):
            opened.append(_open(PurePath(path)))
    return opened


def _open_version(name: str, directory: int) -> list[int]:
    with suppress(OSError):
        version = _open(PurePath(name), directory)
        try:
            return _open_saved_model(version)
        finally:
            os.close(version)
    return []


def _open_saved_model(directory: int) -> list[int]:
    """Opens the files and directories that belong to a SavedModel; none if `directory` is not one."""
    opened: list[int] = []
    if any(_is_file(name, directory) for name in _MODEL_FILES):
        for names, is_right in ((_FILES, S_ISREG), (_DIRECTORIES, S_ISDIR)):
            for name in names:
                with suppress(OSError):
                    opened.append(_open_within(name, directory, is_right))
    return opened


def _open_within(name: str, directory: int, is_right: Callable[[int], bool]) -> int:
    """Opens an entry of a directory of the right kind; one that is a link has to lead to another one in there.

    Raises:
        OSError: it does not exist, or is not such an entry.
    """
    entry = _open(PurePath(name), directory)
    if is_right(os.fstat(entry).st_mode) and _path_of(directory) in _path_of(entry).parents:
        return entry
    os.close(entry)
    raise PermissionError(errno.EPERM, "not an entry of a SavedModel", name)


def _path_of(descriptor: int) -> PurePath:
    return PurePath(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115


def _open(path: PurePath, directory: int | None = None) -> int:
    """Opens a path, by default from the root directory, one name after the other.

    Raises:
        OSError: it does not exist, or a link of another user leads to what does not belong to that user.
    """
    current = os.open("/", os.O_PATH | os.O_CLOEXEC) if directory is None else os.dup(directory)
    names, owners, links = _names_of(path), set[int](), 0
    try:
        while names:
            below = os.open(names.pop(), os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=current)
            try:
                found = os.fstat(below)
                target = PurePath(os.readlink("", dir_fd=below)) if S_ISLNK(found.st_mode) else None
                if target is None:
                    current, below = below, current
            finally:
                os.close(below)  # the link, or the directory that was left
            if target is None:
                continue
            owners.add(found.st_uid)
            links += 1
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            if target.is_absolute():
                current = _instead(current, os.open("/", os.O_PATH | os.O_CLOEXEC))
            names += _names_of(target)
        if not owners <= {_ROOT, os.geteuid(), os.fstat(current).st_uid}:
            raise PermissionError(errno.EPERM, "a link of another user leads to what does not belong to that user")
    except BaseException:
        os.close(current)
        raise
    return current


def _instead(current: int, replacement: int) -> int:
    os.close(current)
    return replacement


def _names_of(path: PurePath) -> list[str]:
    """Returns the names in a path, the last one first."""
    return list(reversed(path.parts[1:] if path.is_absolute() else path.parts))


def _names(directory: int) -> list[str]:
    """Returns the names in a directory that is open for use in paths."""
    readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        return os.listdir(readable)  # noqa: PTH208 - Path takes no descriptor
    finally:
        os.close(readable)


def _is_file(name: str, directory: int) -> bool:
    with suppress(OSError):
        return S_ISREG(os.stat(name, dir_fd=directory).st_mode)
    return False

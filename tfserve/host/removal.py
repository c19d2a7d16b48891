"""Removes directories that someone else filled: of any depth, with any names and modes.

`shutil.rmtree` recurses, and some of its paths become longer than the kernel accepts, so that a tree of a thousand
directories could not be removed. Here a directory that is not empty is moved up, to the top of the tree, before its own
contents are removed: neither the depth of the tree nor the length of a path matters, and two descriptors are enough.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count, islice
from pathlib import Path
from stat import S_IRWXU, S_ISDIR

__all__ = ["remove_tree"]

_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_AT_ONCE = 10_000  # names, to bound the memory for a directory with millions of files


def remove_tree(path: Path, *, ignore_errors: bool = False) -> None:
    """Removes a directory and everything in it, or a file or link. If there is none, it does nothing.

    Links are removed, not followed. What can be removed is removed, even if something else cannot.

    Raises:
        OSError: something could not be removed, unless errors are ignored; the first of them.
    """
    errors: list[OSError] = []
    try:
        if path.is_symlink() or not path.is_dir():
            path.unlink()
            return
        top = _open(str(path))
        try:
            _Removal(top, errors).run()
        finally:
            os.close(top)
        path.rmdir()
    except FileNotFoundError:  # there is none, or another command was faster
        return
    except OSError as error:
        if not ignore_errors:
            raise (errors or [error])[0] from None


class _Removal:
    """The removal of what is in a directory.

    Args:
        top: the descriptor of the directory.
        errors: receives the errors.
    """

    def __init__(self, top: int, errors: list[OSError]) -> None:
        self._top = top
        self._errors = errors
        self._new_names = map(f".removed-{os.urandom(8).hex()}-{{}}".format, count())  # that no file has

    def run(self) -> None:
        for name in self._not_empty(self._top):
            with self._noting_errors():
                below = _open(name, self._top)
                try:
                    for inner in self._not_empty(below):
                        with self._noting_errors():
                            _unlock(inner, below)  # a move changes its parent, which is written in it
                            os.rename(inner, next(self._new_names), src_dir_fd=below, dst_dir_fd=self._top)
                finally:
                    os.close(below)
                os.rmdir(name, dir_fd=self._top)

    def _not_empty(self, directory: int) -> Iterator[str]:
        """Removes the files and empty directories in a directory, and yields the others, also those that are added."""
        seen = set[str]()
        while names := _names(directory, seen):
            for name, is_directory in names:
                remove = os.rmdir if is_directory else os.unlink
                try:
                    remove(name, dir_fd=directory)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    seen.add(name)
                    if is_directory and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                        yield name
                    else:
                        self._errors.append(error)

    @contextmanager
    def _noting_errors(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:  # another process removed it
            return
        except OSError as error:
            self._errors.append(error)


def _names(directory: int, seen: set[str]) -> list[tuple[str, bool]]:
    """Returns the first names in a directory that were not seen, and whether each is a directory."""
    with os.scandir(directory) as entries:
        unseen = (entry for entry in entries if entry.name not in seen)
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in islice(unseen, _AT_ONCE)]


def _open(name: str, above: int | None = None) -> int:
    _unlock(name, above)
    return os.open(name, _FLAGS, dir_fd=above)


def _unlock(name: str, above: int | None) -> None:
    """Lets this user change a directory of theirs."""
    mode = os.stat(name, dir_fd=above, follow_symlinks=False).st_mode
    if S_ISDIR(mode) and mode & S_IRWXU != S_IRWXU:
        with suppress(OSError):  # what needs the mode reports it
            os.chmod(name, S_IRWXU, dir_fd=above)

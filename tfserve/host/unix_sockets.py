"""UNIX sockets that are files: paths that are short enough for their addresses, and sockets that are no longer used."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

__all__ = ["MAX_PATH_BYTES", "remove_stale", "short_path"]

MAX_PATH_BYTES = 107 if sys.platform == "linux" else 103
"""The length of the longest path in the address of a socket; ``sockaddr_un`` has one byte more, for a NUL."""

_DESCRIPTORS = Path("/proc/self/fd")


def short_path(path: Path) -> tuple[Path, int | None]:
    """Returns a path of the same file that is short enough for the address of a socket.

    Args:
        path: the path, absolute or relative to the working directory. The file does not need to exist.

    Returns:
        The path, and the descriptor of its directory, which the caller closes after the last use of the path; None if
        the path does not depend on one.

    Raises:
        OSError: there is none; or `path` is too long, and its directory does not exist or cannot be read.
    """
    if len(os.fsencode(path)) <= MAX_PATH_BYTES:
        return path, None
    if _DESCRIPTORS.is_dir():
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        short = _DESCRIPTORS / str(directory) / path.name
        if len(os.fsencode(short)) <= MAX_PATH_BYTES:
            return short, directory
        os.close(directory)
    raise OSError(errno.ENAMETOOLONG, f"it has more than {MAX_PATH_BYTES} bytes; choose a shorter one")


def remove_stale(path: Path) -> None:
    """Removes a socket on which no process listens, if there is one.

    Raises:
        OSError: a process listens on it, the file is not a socket, or it cannot be opened or removed.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "a file of that name exists, and it is not a socket")
    short, directory = short_path(path)
    try:
        if _is_listening(short):
            raise OSError(errno.EADDRINUSE, "another process listens there; stop it, or choose another path")
        short.unlink()
    finally:
        if directory is not None:
            os.close(directory)


def _is_listening(path: Path) -> bool:
    import socket

    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except BlockingIOError:  # its queue of connections is full
            pass
    return True

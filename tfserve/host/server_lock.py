"""One after the other: of the commands that replace one server, or bring it up, each waits until it is its turn.

A turn is a lock on a file of the server's name, below the state directory of the user. It ends with the process that
has it, however that ends. Where no such file can be, and for other users and machines that share an engine, there are
no turns, and the engine's refusals have to do.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfserve.host.xdg import base_directory
from tfserve.interrupts import raise_if_cancelled
from tfserve.progress import Progress

__all__ = ["is_locked", "server_lock"]

_POLL_SECONDS = 0.05


class _Mine(threading.local):
    """The names of the servers whose turn this thread has."""

    def __init__(self) -> None:
        self.names: set[str] = set()


_mine = _Mine()


@contextmanager
def server_lock(name: str, progress: Progress) -> Iterator[None]:
    """Waits until no other command changes the server called `name`, and keeps others waiting until the block is done.

    In a thread that has the turn already, it does nothing.
    """
    path = _file(name)
    if path is None or name in _mine.names:
        yield
        return
    lock = _wait_for(path, progress)
    _mine.names.add(name)
    try:
        yield
    finally:
        _mine.names.discard(name)
        if lock is not None:
            try:
                path.unlink(missing_ok=True)
            finally:
                os.close(lock)


def is_locked(name: str) -> bool:
    """Whether it is, or was, the turn of a command that did not come to its end; `turn` knows which."""
    path = _file(name)
    return path is not None and path.exists()


def _file(name: str) -> Path | None:
    state = base_directory("XDG_STATE_HOME", ".local/state")
    return None if state is None else state / "tfserve" / "turns" / name


def _wait_for(path: Path, progress: Progress) -> int | None:
    """Locks the file, and returns its descriptor; None where there are no such files."""
    told = False
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(lock, path):
                return lock
            os.close(lock)  # whoever had it removed the file in between
        except BlockingIOError:
            os.close(lock)
            if not told:
                progress.notice(f"Waiting for another tfserve that is changing {path.name}")
            told = True
            raise_if_cancelled()
            time.sleep(_POLL_SECONDS)
        except OSError:  # a file system without locks
            os.close(lock)
            return None


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False

"""A lock for each server, so that only one command at a time replaces it or brings it up.

The lock is a file with the server's name in this user's state directory. It is released when the process that holds it
ends, for whatever reason. Where such a file cannot be created, or another user could lock it, and between users and
machines that share a Docker Engine, there is no lock; the engine then refuses what conflicts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tfserve.errors import NotPrivateError
from tfserve.host.directories import user_directory
from tfserve.host.private import check_private, make_private
from tfserve.interrupts import raise_if_cancelled
from tfserve.progress import Progress

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["is_locked", "server_lock"]

_HOME = "XDG_STATE_HOME"
_POLL_SECONDS = 0.05


@contextmanager
def server_lock(name: str, progress: Progress) -> Iterator[None]:
    """Waits until no other command changes the server called `name`, and locks it for the duration of the block.

    A thread that already holds the lock can take it again.
    """
    path = _lock_file(name)
    lock = None if path is None else _acquire(path, progress)
    if path is None or lock is None:
        yield
        return
    try:
        yield
    finally:
        try:
            if lock.lock_counter == 1:
                path.unlink(missing_ok=True)  # while it is locked; a process that waits for it creates a new file
        finally:
            lock.release()


def is_locked(name: str) -> bool:
    """Whether a command holds the lock, or was killed while it held it; only `server_lock` can tell which."""
    path = _lock_file(name)
    return path is not None and path.exists()


def _lock_file(name: str) -> Path | None:
    state = user_directory("state")
    if state is None:
        return None
    try:
        for directory in (state, state / "locks"):
            check_private(directory, _HOME)
    except NotPrivateError:
        return None
    return state / "locks" / name


def _acquire(path: Path, progress: Progress) -> BaseFileLock | None:
    """Locks the file; returns None where it cannot be created or locked."""
    from filelock import FileLock, Timeout

    # One object for the whole process, which counts how often each thread holds it.
    lock = FileLock(path, mode=0o600, is_singleton=True)
    waiting = False
    while True:
        try:
            make_private(path.parent, _HOME)
            lock.acquire(blocking=False)
            return lock
        except Timeout:
            if not waiting:
                progress.notice(f"Waiting for another tfserve command that is changing the server {path.name!r}")
            waiting = True
            raise_if_cancelled()
            time.sleep(_POLL_SECONDS)
        except (OSError, NotPrivateError):
            return None

"""Signals the processes of a server, and no others.

The pid in a record or lock file is only a number. The lock of a server shows that it is running, but not which process
it is: another program may have locked the file. Therefore a process group is signaled only if all of its processes
belong to this user, and one of them has the lock of the server open.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tfserve.errors import EngineUnavailableError

if TYPE_CHECKING:
    from tfserve.engines.local.state import ServerDirectory

__all__ = ["KILL_SECONDS", "terminate"]

KILL_SECONDS = 10.0
"""How long a process that was killed may take to exit."""

_POLL_SECONDS = 0.02
_SEE_LOCK = "See which process holds the lock of the server: fuser -v {}"
_PROC = Path("/proc")
_GROUP = re.compile(rb".*\) \S \d+ (\d+) ", re.DOTALL)  # proc_pid_stat(5): pid (comm) state ppid pgrp
_REAL_UID = re.compile(rb"^Uid:\t(\d+)", re.MULTILINE)


def terminate(directory: ServerDirectory, grace: float) -> None:
    """Terminates the processes of a server, and kills them after `grace` seconds.

    Raises:
        EngineUnavailableError: they are still running, or cannot be told from those of others.
    """
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, KILL_SECONDS)):
        deadline, sent = time.monotonic() + seconds, False
        while time.monotonic() < deadline and directory.is_alive():
            sent = sent or _signal_any(directory, number)
            time.sleep(_POLL_SECONDS)
    if directory.is_alive():
        raise _still_running(directory)


def _signal_any(directory: ServerDirectory, number: signal.Signals) -> bool:
    """Signals the group of the first pid that is that of the server; see `_signal_group`."""
    refused = None
    for pid in sorted(directory.pids()):
        try:
            if _signal_group(pid, number, directory):
                return True
        except EngineUnavailableError as error:
            refused = error
    if refused is not None:
        raise refused
    return False


def _signal_group(pid: int, number: signal.Signals, directory: ServerDirectory) -> bool:
    """Signals the process group of a server.

    Args:
        pid: the process that leads the group, according to the files of the server.
        number: the signal.
        directory: the directory of the server, whose lock is held.

    Returns:
        Whether the group exists; a process that was forked a moment ago has not created it yet.

    Raises:
        EngineUnavailableError: these are not the processes of the server, or they belong to another user.
    """
    try:
        if (_PROC / "self" / "stat").exists():  # it does not on macOS
            members, lock = list(_members(pid)), directory.lock.stat()
            if not members:
                return False
            if pid <= 1 or not all(map(_is_ours, members)) or not any(_has_open(each, lock) for each in members):
                if not directory.is_alive():  # it has exited while it was examined
                    return False
                raise _foreign(pid, directory)
        os.killpg(pid, number)
    except (FileNotFoundError, ProcessLookupError):  # another command has removed the server
        return False
    except PermissionError as error:
        raise _foreign(pid, directory) from error
    return True


def _members(group: int) -> Iterator[int]:
    """Yields the processes of a group."""
    for path in _PROC.glob("[0-9]*/stat"):
        with suppress(OSError):  # the process has exited
            found = _GROUP.match(path.read_bytes())
            if found and int(found[1]) == group:
                yield int(path.parent.name)


def _is_ours(pid: int) -> bool:
    """Whether a process belongs to this user, or has exited."""
    try:
        found = _REAL_UID.search((_PROC / str(pid) / "status").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return True
    return found is not None and int(found[1]) == os.geteuid()


def _has_open(pid: int, file: os.stat_result) -> bool:
    """Whether a process has a file open; also if the system does not show that, as for a process with capabilities."""
    try:
        for entry in (_PROC / str(pid) / "fd").iterdir():
            with suppress(FileNotFoundError):  # it has been closed
                found = entry.stat()
                if (found.st_dev, found.st_ino) == (file.st_dev, file.st_ino):
                    return True
    except (FileNotFoundError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return False


def _still_running(directory: ServerDirectory) -> EngineUnavailableError:
    return EngineUnavailableError(
        f"The server {directory.path.name!r} is still running: a process holds its lock, and could not be stopped.",
        hint=_SEE_LOCK.format(directory.lock),
        doctor=False,
    )


def _foreign(pid: int, directory: ServerDirectory) -> EngineUnavailableError:
    return EngineUnavailableError(
        f"The process {pid} is not the server {directory.path.name!r}, or belongs to another user. It was not stopped.",
        hint=_SEE_LOCK.format(directory.lock),
        doctor=False,
    )

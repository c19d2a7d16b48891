"""Starts the process of a local server: by itself or, where several start together, from one that has loaded already.

TensorFlow's library takes most of a start. A fork server of the model server loads it once for all of the same
environment, which it reads while it loads.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tfserve.engines.local.runtime import OWN_COMMAND
from tfserve.interrupts import cancelled

__all__ = ["Process", "Start", "start_process", "starting_together"]

_LOAD_SECONDS = 60.0  # for TensorFlow from a slow disk
_LOOK_SECONDS = 0.1
_END_SECONDS = 5.0
_CAN_SHARE = sys.platform == "linux" and hasattr(os, "pidfd_open")


class Process(Protocol):
    """A process that was started; `subprocess.Popen` is one."""

    @property
    def pid(self) -> int:
        """Its number; it leads a session of its own."""
        ...

    def wait(self, timeout: float | None = None) -> int | None:
        """Returns its exit code when it has ended, negative for a signal; None when nobody is there to see that.

        Raises:
            subprocess.TimeoutExpired: it has not ended after `timeout` seconds.
        """
        ...


@dataclass(frozen=True)
class Start:
    """What to start.

    Attributes:
        command: the program and its arguments.
        directory: where it runs.
        environment: all its variables.
        log: the descriptor of its stdout and stderr.
        lock: the descriptor of a lock that it holds as long as it lives.
    """

    command: Sequence[str]
    directory: Path
    environment: Mapping[str, str]
    log: int
    lock: int


def start_process(start: Start) -> Process:
    """Starts it in a session of its own.

    Raises:
        OSError: it cannot be started.
    """
    shared = _fork_servers
    forked = None if shared is None else shared.start(start)
    return forked or subprocess.Popen(
        start.command,
        stdin=subprocess.DEVNULL,
        stdout=start.log,
        stderr=start.log,
        cwd=start.directory,
        env=start.environment,
        pass_fds=[start.lock],
        start_new_session=True,
    )


@contextmanager
def starting_together(servers: int) -> Iterator[None]:
    """Has that many servers, which start in the block and in whatever threads, share what they load."""
    global _fork_servers
    if servers < 2:
        yield
        return
    with ExitStack() as stack:
        _fork_servers = _ForkServers(stack)
        try:
            yield
        finally:
            _fork_servers = None


class _ForkServers:
    """The fork servers of this process, one for each environment; `stack` ends them."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._lock = threading.Lock()
        self._sockets: dict[frozenset[tuple[str, str]], socket.socket] = {}

    def start(self, start: Start) -> Process | None:
        """Starts it as a fork; None where that cannot be, for whatever reason: started by itself, it tells that."""
        length = len(OWN_COMMAND)
        if not _CAN_SHARE or tuple(start.command[:length]) != OWN_COMMAND:
            return None
        request = {"arguments": start.command[length:], "directory": str(start.directory)}
        reading, writing = os.pipe()
        try:
            socket.send_fds(
                self._socket(start.environment), [json.dumps(request).encode()], [start.log, start.lock, writing]
            )
        except OSError:
            os.close(reading)
            return None
        finally:
            os.close(writing)
        process = _Fork(reading)
        return process if process.started() else None

    def _socket(self, environment: Mapping[str, str]) -> socket.socket:
        key = frozenset(environment.items())
        with self._lock:
            if key not in self._sockets:
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                self._stack.callback(ours.close)
                with theirs:
                    process = subprocess.Popen(
                        [*OWN_COMMAND[:-1], f"{OWN_COMMAND[-1]}.fork_server"],
                        stdin=theirs.fileno(),
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        env=environment,
                        start_new_session=True,  # an interrupt is not for it
                    )
                self._stack.callback(_end, process, ours)
                self._sockets[key] = ours
            return self._sockets[key]


def _end(fork_server: subprocess.Popen[bytes], control: socket.socket) -> None:
    """Ends a fork server, which goes by itself when its socket is closed; one that hangs is killed."""
    control.close()
    try:
        fork_server.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        fork_server.kill()
        fork_server.wait()


class _Fork:
    """A process that a fork server starts, of which it tells the pid and, in the end, the exit code.

    Attributes:
        pid: its number, once it has started.
    """

    def __init__(self, report: int) -> None:
        self._report = os.fdopen(report)
        self._code: int | None = None
        self.pid = 0

    def started(self) -> bool:
        """Waits until it has started; False when it will not: the fork server has ended or hangs, or time presses."""
        deadline = time.monotonic() + _LOAD_SECONDS
        while not self._is_told(_LOOK_SECONDS):
            if cancelled() or time.monotonic() > deadline:
                break  # whoever brings back what was there before starts it all the same, by itself
        if self._is_told(0):  # perhaps at the last moment: then it is there, and not to be started twice
            self.pid = int(self._report.readline() or 0)
        if not self.pid:
            self.close()
        return bool(self.pid)

    def wait(self, timeout: float | None = None) -> int | None:
        """See `Process.wait`."""
        if not self._report.closed:
            if not self._is_told(timeout):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            line = self._report.readline()
            self._code = int(line) if line else None
            self.close()
        return self._code

    def close(self) -> None:
        """Wants to know no more; a process that has not started will not."""
        self._report.close()

    def _is_told(self, seconds: float | None) -> bool:
        poll = select.poll()
        poll.register(self._report, select.POLLIN)
        return bool(poll.poll(None if seconds is None else seconds * 1000))


_fork_servers: _ForkServers | None = None

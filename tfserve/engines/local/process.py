"""Starts the process of a local server: directly or, if several start together, by forking a loaded process.

Loading TensorFlow's library takes most of the time of a start. A fork server of the model server loads it once for all
servers with the same environment, because the library reads the environment when it is loaded.
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

from tfserve.engines.local.runtime import FORK_SERVER_COMMAND, OWN_COMMAND, SANDBOXED_COMMAND
from tfserve.host import privileges
from tfserve.host.privileges import NO_RULESET
from tfserve.host.search_paths import NEUTRAL_DIRECTORY, safe_environment
from tfserve.interrupts import cancelled

__all__ = ["Process", "Start", "start_process", "starting_together"]

_LOAD_SECONDS = 60.0  # for TensorFlow from a slow disk
_POLL_SECONDS = 0.1
_STOP_SECONDS = 5.0
_TEMPORARY = "TMPDIR"
_CAN_SHARE = sys.platform == "linux" and hasattr(os, "pidfd_open")
_fork_servers: _ForkServers | None = None


class Process(Protocol):
    """A process that was started; `subprocess.Popen` is one."""

    @property
    def pid(self) -> int:
        """Its pid; it leads its own session."""
        ...

    def wait(self, timeout: float | None = None) -> int | None:
        """Waits until it exits, and returns its exit code, negative for a signal; None if the code is unknown.

        Raises:
            subprocess.TimeoutExpired: it has not exited after `timeout` seconds.
        """
        ...


@dataclass(frozen=True)
class Start:
    """What to start.

    Attributes:
        command: the program and its arguments.
        directory: its working directory.
        environment: all of its variables.
        log: the descriptor of its stdout and stderr.
        lock: the descriptor of a lock that it holds while it is running.
        ruleset: the ruleset of its sandbox, for `tfserve.host.privileges`; None to start it without a sandbox.
        temporary: its directory for temporary files; None for that of the environment.
    """

    command: Sequence[str]
    directory: Path
    environment: Mapping[str, str]
    log: int
    lock: int
    ruleset: int | None = None
    temporary: Path | None = None


def start_process(start: Start) -> Process:
    """Starts a process in its own session.

    Raises:
        OSError: the process cannot be started.
    """
    shared = _fork_servers
    forked = None if shared is None else shared.start(start)
    if forked is not None:
        return forked
    if start.ruleset is None:
        return _start_directly(start, start.command)
    if tuple(start.command[: len(OWN_COMMAND)]) == OWN_COMMAND:
        command = (*SANDBOXED_COMMAND, str(start.ruleset), *start.command[len(OWN_COMMAND) :])
        return _start_directly(start, command, *_descriptors(start.ruleset))
    return _start_without_privileges(start, start.ruleset)


def _start_directly(start: Start, command: Sequence[str], *descriptors: int) -> subprocess.Popen[bytes]:
    """Starts `command` in place of that of `start`; it inherits more `descriptors`."""
    own = {} if start.temporary is None else {_TEMPORARY: str(start.temporary)}
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=start.log,
        stderr=start.log,
        cwd=start.directory,
        env=safe_environment({**start.environment, **own}),
        pass_fds=[start.lock, *descriptors],
        start_new_session=True,
    )


def _start_without_privileges(start: Start, ruleset: int) -> subprocess.Popen[bytes]:
    """Starts a program that cannot give up its privileges itself, through one that does and then executes it."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as report:
        try:
            launcher = (sys.executable, "-I", "-S", privileges.__file__, str(ruleset), str(writing))
            process = _start_directly(start, (*launcher, *start.command), writing, *_descriptors(ruleset))
        finally:
            os.close(writing)
        error = report.read()
    if error:
        process.wait()
        raise OSError(int(error), os.strerror(int(error)))
    return process


def _descriptors(ruleset: int | None) -> list[int]:
    return [] if ruleset in (None, NO_RULESET) else [ruleset]


@contextmanager
def starting_together(servers: int) -> Iterator[None]:
    """Lets this number of servers, which start in the block in any threads, share what they load."""
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
    """The fork servers of this process, one for each environment; `stack` stops them."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._lock = threading.Lock()
        self._sockets: dict[frozenset[tuple[str, str]], socket.socket] = {}

    def start(self, start: Start) -> Process | None:
        """Starts a process as a fork; None if that fails for any reason, which a direct start then reports."""
        length = len(OWN_COMMAND)
        if not _CAN_SHARE or tuple(start.command[:length]) != OWN_COMMAND:
            return None
        own = {} if start.temporary is None else {_TEMPORARY: str(start.temporary)}
        request = {
            "arguments": start.command[length:],
            "directory": str(start.directory),
            "environment": own,
            "sandbox": start.ruleset is not None,
        }
        reading, writing = os.pipe()
        try:
            socket.send_fds(
                self._socket(start.environment),
                [json.dumps(request).encode()],
                [start.log, start.lock, writing, *_descriptors(start.ruleset)],
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
                        FORK_SERVER_COMMAND,
                        stdin=theirs.fileno(),
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        cwd=NEUTRAL_DIRECTORY,
                        env=safe_environment(environment),
                        start_new_session=True,  # it does not receive Ctrl-C
                    )
                self._stack.callback(_stop, process, ours)
                self._sockets[key] = ours
            return self._sockets[key]


def _stop(fork_server: subprocess.Popen[bytes], control: socket.socket) -> None:
    """Stops a fork server, which exits when its socket is closed; if it hangs, it is killed."""
    control.close()
    try:
        fork_server.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        fork_server.kill()
        fork_server.wait()


class _Fork:
    """A process that a fork server starts. The fork server reports its pid and, when it exits, its exit code.

    Attributes:
        pid: its pid, once it has started.
    """

    def __init__(self, report: int) -> None:
        self._report = os.fdopen(report)
        self._code: int | None = None
        self.pid = 0

    def started(self) -> bool:
        """Waits until it has started; False if the fork server failed or this thread is cancelled."""
        deadline = time.monotonic() + _LOAD_SECONDS
        while not self._has_report(_POLL_SECONDS):
            if cancelled() or time.monotonic() > deadline:
                break  # a server that is restored meanwhile is then started directly
        if self._has_report(0):  # it may have started at the last moment, and must not be started twice
            self.pid = int(self._report.readline() or 0)
        if not self.pid:
            self.close()
        return bool(self.pid)

    def wait(self, timeout: float | None = None) -> int | None:
        if not self._report.closed:
            if not self._has_report(timeout):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            line = self._report.readline()
            self._code = int(line) if line else None
            self.close()
        return self._code

    def close(self) -> None:
        """Closes the connection to the fork server; a process that has not started yet is not started."""
        self._report.close()

    def _has_report(self, seconds: float | None) -> bool:
        poll = select.poll()
        poll.register(self._report, select.POLLIN)
        return bool(poll.poll(None if seconds is None else seconds * 1000))

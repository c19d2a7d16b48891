"""Starts several servers at the cost of one: loads what all of them need once, and forks for each server.

``python -m tfserve.model_server.fork_server`` has a socket (``SOCK_SEQPACKET``) as its stdin. Each message requests one
server: a JSON object with its ``arguments``, its ``directory``, variables to add to its ``environment`` and whether it
runs in a ``sandbox``, and three or four file descriptors: the log, which becomes stdout and stderr; a lock, which the
server holds until it exits and into whose file it writes its pid; a pipe, to which the server's pid and later its exit
code are written, each on a line; and the ruleset of its sandbox, if the kernel has Landlock. A server is not started if
the reader has closed its pipe.

When the socket is closed, the program exits and its servers keep running. Linux only: the program forks after loading
libraries but before starting threads, and watches its servers with pidfds.
"""

from __future__ import annotations

import gc
import json
import os
import select
import selectors
import socket
import sys
import traceback
from contextlib import suppress
from typing import NamedTuple, NoReturn

from tfserve.host.privileges import NO_RULESET, drop_privileges

_MAX_MESSAGE_BYTES = 1 << 20
_DESCRIPTORS = 4
_BLAS_THREADS = "OPENBLAS_NUM_THREADS"
_MAX_DESCRIPTOR = 1 << 16  # if the system sets no limit


class _Server(NamedTuple):
    """A started server: its process, and the pipe to which its exit code is written."""

    pid: int
    report: int


def main() -> NoReturn:
    """Runs until stdin is closed."""
    control = socket.socket(fileno=0)
    _preload()
    gc.freeze()  # the collector does not touch existing objects, so the servers share their memory
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if isinstance(key.data, _Server):
                selector.unregister(key.fd)
                os.close(key.fd)
                _report_exit(key.data)
                continue
            message, descriptors, _, _ = socket.recv_fds(control, _MAX_MESSAGE_BYTES, _DESCRIPTORS)
            if not message:
                os._exit(0)
            server = _start(message, *descriptors)
            if server is None:
                continue
            selector.register(os.pidfd_open(server.pid), selectors.EVENT_READ, server)


def _preload() -> None:
    """Loads what servers need, without the threads of BLAS: servers do not need them, and a fork would lose them."""
    before = os.environ.get(_BLAS_THREADS)
    os.environ.setdefault(_BLAS_THREADS, "1")
    from tfserve.model_server.main import preload

    preload()
    if before is None:
        del os.environ[_BLAS_THREADS]
    if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 - a fork keeps only the thread that forks
        os._exit(1)


def _start(message: bytes, log: int, lock: int, report: int, ruleset: int = NO_RULESET) -> _Server | None:
    passed_on = [log, lock, *([ruleset] if ruleset != NO_RULESET else [])]
    if _is_abandoned(report):
        for descriptor in (*passed_on, report):
            os.close(descriptor)
        return None
    pid = os.fork()
    if pid == 0:
        _become_server(message, log, lock, report, ruleset)
    for descriptor in passed_on:
        os.close(descriptor)
    server = _Server(pid, report)
    _report(server, pid)
    return server


def _is_abandoned(report: int) -> bool:
    """Whether the process that requested a server has closed the pipe: it was killed, or starts the server itself."""
    poll = select.poll()
    poll.register(report, 0)
    return bool(poll.poll(0))  # an error: the pipe has no reader


def _become_server(message: bytes, log: int, lock: int, report: int, ruleset: int) -> NoReturn:
    from tfserve.model_server.main import main as serve

    try:
        os.setsid()
        if _is_abandoned(report):  # since the check before the fork
            os._exit(255)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d" % os.getpid(), 0)  # tfserve finds the server even if it is killed before it records it
        _close_others({lock, ruleset} - {NO_RULESET})
        request = json.loads(message)
        if request["sandbox"]:
            drop_privileges(ruleset)
        os.environ.update(request["environment"])
        os.chdir(request["directory"])
        sys.argv[1:] = request["arguments"]
        serve()
    except BaseException:
        traceback.print_exc()
    os._exit(255)


def _close_others(kept: set[int]) -> None:
    """Closes all descriptors except the standard ones and those in `kept`."""
    first = 3
    for descriptor in sorted(kept):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, max(os.sysconf("SC_OPEN_MAX"), _MAX_DESCRIPTOR))


def _report_exit(server: _Server) -> None:
    _, status = os.waitpid(server.pid, 0)
    _report(server, os.waitstatus_to_exitcode(status))
    os.close(server.report)


def _report(server: _Server, number: int) -> None:
    with suppress(BrokenPipeError):  # the reader has closed the pipe
        os.write(server.report, b"%d\n" % number)


if __name__ == "__main__":
    main()

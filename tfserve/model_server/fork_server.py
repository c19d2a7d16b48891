"""Starts several servers at the cost of one: loads once what all of them need, and forks for each.

``python -m tfserve.model_server.fork_server`` has a socket (``SOCK_SEQPACKET``) as its stdin. Each message asks for one
server: a JSON object with its ``arguments`` and its ``directory``, and three descriptors: the log, which becomes stdout
and stderr; a lock, to be held as long as the server lives, in whose file it writes its pid; and a pipe, which is told
the server's pid and, at its end, its exit code, a line each. A server whose pipe nobody reads any more is not started.

When the socket is closed the program ends, and its servers live on. Linux only: it forks after loading libraries, while
there is no thread yet, and watches its servers by pidfds.
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

_MAX_MESSAGE_BYTES = 1 << 20
_DESCRIPTORS = 3
_BLAS_THREADS = "OPENBLAS_NUM_THREADS"
_MOST_DESCRIPTORS = 1 << 16  # where the system sets no limit


class _Server(NamedTuple):
    """A server that was started: its process, and where its end is told."""

    pid: int
    report: int


def main() -> NoReturn:
    """Runs until stdin is closed."""
    control = socket.socket(fileno=0)
    _preload()
    gc.freeze()  # what is there is not to be touched, so that servers share its memory
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if isinstance(key.data, _Server):
                selector.unregister(key.fd)
                os.close(key.fd)
                _tell_end(key.data)
                continue
            message, descriptors, _, _ = socket.recv_fds(control, _MAX_MESSAGE_BYTES, _DESCRIPTORS)
            if not message:
                os._exit(0)
            server = _start(message, *descriptors)
            if server is None:
                continue
            selector.register(os.pidfd_open(server.pid), selectors.EVENT_READ, server)


def _preload() -> None:
    """Loads what servers need, without the threads of BLAS, which they do not: a fork would lose them."""
    as_it_was = os.environ.get(_BLAS_THREADS)
    os.environ.setdefault(_BLAS_THREADS, "1")
    from tfserve.model_server.main import preload

    preload()
    if as_it_was is None:
        del os.environ[_BLAS_THREADS]
    if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 - of these a fork has only the one that forks
        os._exit(1)


def _start(message: bytes, log: int, lock: int, report: int) -> _Server | None:
    if _is_abandoned(report):
        for descriptor in (log, lock, report):
            os.close(descriptor)
        return None
    pid = os.fork()
    if pid == 0:
        _become_server(message, log, lock, report)
    os.close(log)
    os.close(lock)
    server = _Server(pid, report)
    _tell(server, pid)
    return server


def _is_abandoned(report: int) -> bool:
    """Whether whoever asked for a server has been killed since, or starts it otherwise."""
    poll = select.poll()
    poll.register(report, 0)
    return bool(poll.poll(0))  # an error: nobody reads it


def _become_server(message: bytes, log: int, lock: int, report: int) -> NoReturn:
    from tfserve.model_server.main import main as serve

    try:
        os.setsid()
        if _is_abandoned(report):  # meanwhile
            os._exit(255)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d" % os.getpid(), 0)  # so that it is found even if nobody lives to write it down
        os.closerange(3, lock)
        os.closerange(lock + 1, max(os.sysconf("SC_OPEN_MAX"), _MOST_DESCRIPTORS))
        request = json.loads(message)
        os.chdir(request["directory"])
        sys.argv[1:] = request["arguments"]
        serve()
    except BaseException:
        traceback.print_exc()
    os._exit(255)


def _tell_end(server: _Server) -> None:
    _, status = os.waitpid(server.pid, 0)
    _tell(server, os.waitstatus_to_exitcode(status))
    os.close(server.report)


def _tell(server: _Server, number: int) -> None:
    with suppress(BrokenPipeError):  # nobody wants to know
        os.write(server.report, b"%d\n" % number)


if __name__ == "__main__":
    main()

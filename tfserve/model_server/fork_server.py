"""Starts several servers at the cost of one: loads once what all of them need, and forks for each.

``python -m tfserve.model_server.fork_server`` has a socket (``SOCK_SEQPACKET``) as its stdin. Each message asks for one
server: a JSON object with its ``arguments`` and its ``directory``, and three descriptors: the log, which becomes stdout
and stderr; a lock, to be held as long as the server lives; and a pipe, which is told the server's pid and, at its end,
its exit code, a line each. When the socket is closed the program ends, and its servers live on. Linux only: it forks
after loading libraries, while there is no thread yet, and watches its servers by pidfds.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import socket
import sys
import traceback
from typing import NamedTuple, NoReturn

from tfserve.model_server.main import main as serve
from tfserve.model_server.main import preload

_MAX_MESSAGE_BYTES = 1 << 20
_DESCRIPTORS = 3


class _Server(NamedTuple):
    """A server that was started: its process, and where its end is told."""

    pid: int
    report: int


def main() -> NoReturn:
    """Runs until stdin is closed."""
    control = socket.socket(fileno=0)
    preload()
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
            selector.register(os.pidfd_open(server.pid), selectors.EVENT_READ, server)


def _start(message: bytes, log: int, lock: int, report: int) -> _Server:
    pid = os.fork()
    if pid == 0:
        _become_server(message, log, lock)
    os.close(log)
    os.close(lock)
    os.write(report, b"%d\n" % pid)
    return _Server(pid, report)


def _become_server(message: bytes, log: int, lock: int) -> NoReturn:
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.closerange(3, lock)
        os.closerange(lock + 1, os.sysconf("SC_OPEN_MAX"))
        request = json.loads(message)
        os.chdir(request["directory"])
        sys.argv[1:] = request["arguments"]
        serve()
    except BaseException:
        traceback.print_exc()
    os._exit(255)


def _tell_end(server: _Server) -> None:
    _, status = os.waitpid(server.pid, 0)
    try:
        os.write(server.report, b"%d\n" % os.waitstatus_to_exitcode(status))
    except BrokenPipeError:  # nobody wants to know
        pass
    finally:
        os.close(server.report)


if __name__ == "__main__":
    main()

"""Ports for the servers of one test."""

from __future__ import annotations

import socket
from contextlib import ExitStack

__all__ = ["free_ports"]


def free_ports(count: int) -> list[int]:
    """Returns different ports that are free: each socket stays bound until all are chosen."""
    with ExitStack() as sockets_open:
        sockets = [sockets_open.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]

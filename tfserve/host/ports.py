"""Ports of this machine: which are free, and which this process has claimed for its servers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable

__all__ = ["any_free_port", "claim", "is_free", "is_local", "release"]

_claimed: set[int] = set()
_claiming = threading.Lock()


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen on ``host:port`` now; false if `host` is not an address of this machine."""
    try:
        _bind(host, port)
    except OSError:
        return False
    return True


def claim(port: int) -> bool:
    """Claims a port for a server that does not listen on it yet; False if this process already claimed the port."""
    with _claiming:
        if port in _claimed:
            return False
        _claimed.add(port)
        return True


def release(ports: Iterable[int | None]) -> None:
    """Releases claims, once the servers listen on their ports or have failed to start."""
    with _claiming:
        _claimed.difference_update(port for port in ports if port is not None)


def is_local(host: str) -> bool:
    """Whether `host` is an address of this machine."""
    return is_free(host, 0)


def any_free_port(host: str) -> int:
    """Returns a port that is free at this moment; 0, which lets the engine choose, if `host` is not on this machine."""
    try:
        return _bind(host, 0)
    except OSError:
        return 0


def _bind(host: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignore closed connections in TIME_WAIT
        probe.bind((host, port))
        return int(probe.getsockname()[1])

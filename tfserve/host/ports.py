"""Facts about ports: whether one is free on this machine, and one that is."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable

__all__ = ["any_free_port", "claim", "is_free", "is_local", "release"]


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen on ``host:port`` now; an address that is not this machine's is not free."""
    try:
        _bind(host, port)
    except OSError:
        return False
    return True


_claimed: set[int] = set()
_claiming = threading.Lock()


def claim(port: int) -> bool:
    """Claims a port for a server that is yet to listen on it; False when another one of this process has it."""
    with _claiming:
        if port in _claimed:
            return False
        _claimed.add(port)
        return True


def release(ports: Iterable[int | None]) -> None:
    """Gives up claims: the servers listen by now, or never will."""
    with _claiming:
        _claimed.difference_update(port for port in ports if port is not None)


def is_local(host: str) -> bool:
    """Whether `host` is an address of this machine."""
    return is_free(host, 0)


def any_free_port(host: str) -> int:
    """A port that was free a moment ago; 0, which lets the engine choose, where none can be found from here."""
    try:
        return _bind(host, 0)
    except OSError:
        return 0


def _bind(host: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the past do not matter
        probe.bind((host, port))
        return int(probe.getsockname()[1])

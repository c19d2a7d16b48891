"""Facts about ports: whether one is free on this machine, and one that is."""

from __future__ import annotations

import socket

__all__ = ["any_free_port", "in_url", "is_free", "is_local", "reachable"]


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen on ``host:port`` now; an address that is not this machine's is not free."""
    try:
        _bind(host, port)
    except OSError:
        return False
    return True


def is_local(host: str) -> bool:
    """Whether `host` is an address of this machine."""
    return is_free(host, 0)


def any_free_port(host: str) -> int:
    """A port that was free a moment ago; 0, which lets the engine choose, where none can be found from here."""
    try:
        return _bind(host, 0)
    except OSError:
        return 0


def in_url(host: str) -> str:
    """An address as a URL, and Docker, write it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def reachable(host: str, port: int) -> str:
    """The ``host:port`` at which this machine reaches what listens on `host`: all interfaces through loopback."""
    return f"{in_url({'0.0.0.0': '127.0.0.1', '::': '::1'}.get(host, host))}:{port}"  # noqa: S104


def _bind(host: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the past do not matter
        probe.bind((host, port))
        return int(probe.getsockname()[1])

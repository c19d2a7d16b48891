"""The TCP connections of this process, found by the address of the client: gRPC has no functions for them.

A call in gRPC's Python API can neither report how much of its message has arrived, nor be cancelled while its answer is
being sent. The socket of its connection can be asked, and shut down, which ends all calls on that connection.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import stat
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

_DESCRIPTORS = Path("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")
_RECEIVED = struct.Struct("@Q")  # tcpi_bytes_received in struct tcp_info of linux/tcp.h, since Linux 4.1
_RECEIVED_OFFSET = 128
_DISCARD = socket.MSG_TRUNC if sys.platform == "linux" else 0  # without a copy
_DISCARDED_BYTES = 1 << 20
_MOST_DISCARDS = 64
_IPV4_MAPPED = "::ffff:"

Address = tuple[str, int]


@functools.lru_cache(maxsize=4096)
def address_of(peer: str) -> Address | None:
    """Returns the address of a client from the peer of a call, such as ``ipv4:127.0.0.1:4``; None if it is not TCP."""
    kind, _, text = peer.partition(":")
    host, _, port = unquote(text).rpartition(":")
    if kind not in ("ipv4", "ipv6") or not port.isdigit():
        return None
    return _plain(host.strip("[]")), int(port)


def received_bytes() -> dict[Address, int]:
    """Returns how many bytes each client has sent since it connected; empty if the system is not Linux."""
    received: dict[Address, int] = {}
    if sys.platform != "linux":
        return received
    for client, connection in _connections():
        with connection, contextlib.suppress(OSError):
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            if len(info) >= _RECEIVED_OFFSET + _RECEIVED.size:
                (received[client],) = _RECEIVED.unpack_from(info, _RECEIVED_OFFSET)
    return received


def shut_down(clients: Iterable[Address]) -> None:
    """Ends the connections of clients, with all their calls."""
    ended = set(clients)
    for client, connection in _connections():
        with connection, contextlib.suppress(OSError):
            if client in ended:
                connection.shutdown(socket.SHUT_RDWR)
                _discard(connection)


def _discard(connection: socket.socket) -> None:
    """Discards what a client has sent and gRPC has not yet read: it would read all of it before the end."""
    for _ in range(_MOST_DISCARDS):
        if not connection.recv(_DISCARDED_BYTES, socket.MSG_DONTWAIT | _DISCARD):
            break


def _connections() -> Iterator[tuple[Address, socket.socket]]:
    """Yields duplicates of all sockets, which the caller closes: a socket's number can be used again at any time."""
    for name in os.listdir(_DESCRIPTORS):  # noqa: PTH208, names are enough
        connection = _duplicate(int(name))
        if connection is None:
            continue
        client = _client(connection)
        if client is None:
            connection.close()
        else:
            yield client, connection


def _duplicate(descriptor: int) -> socket.socket | None:
    with contextlib.suppress(OSError):  # it has just been closed
        if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return socket.socket(fileno=os.dup(descriptor))
    return None


def _client(connection: socket.socket) -> Address | None:
    with contextlib.suppress(OSError):  # it is not connected
        peer = connection.getpeername()
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            return _plain(peer[0]), peer[1]
    return None


def _plain(host: str) -> str:
    """Returns an address without its zone, and an IPv4 address as such if it is written as an IPv6 one."""
    return host.partition("%")[0].removeprefix(_IPV4_MAPPED)

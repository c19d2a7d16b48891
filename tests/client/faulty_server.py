"""Servers that violate HTTP or TensorFlow Serving's API: real sockets on 127.0.0.1 that run a script."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType

Script = Callable[[socket.socket, threading.Event], None]


class FaultyServer:
    """Reads the request of each connection, runs the script, and closes the connection.

    The script gets the connection and an event that is set at the end of the test. With `tls`, the server uses https.
    """

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self._tls = tls
        self._script = script
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> FaultyServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), self._secured(connection) as connection:
                self.requests.append(_whole_request(connection))
                self._script(connection, self._over)

    def _secured(self, connection: socket.socket) -> socket.socket:
        connection.settimeout(60)
        return self._tls.wrap_socket(connection, server_side=True) if self._tls else connection


def responding(response: bytes) -> FaultyServer:
    """Sends `response` unchanged."""
    return FaultyServer(lambda connection, _: connection.sendall(response))


def responding_json(document: bytes, status: str = "200 OK") -> FaultyServer:
    """Sends `document` as an HTTP response whose header declares JSON."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(document)}\r\n\r\n"
    return responding(head.encode() + document)


def stalling(start: bytes = b"") -> FaultyServer:
    """Sends `start`, and then nothing until the test ends."""

    def stall(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(start)
        over.wait()

    return FaultyServer(stall)


def trickling(start: bytes = b"", tls: ssl.SSLContext | None = None) -> FaultyServer:
    """Sends `start`, and then single bytes at intervals, without end."""

    def trickle(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(start)
        while not over.wait(0.02):
            connection.sendall(b"a")

    return FaultyServer(trickle, tls)


def flooding(start: bytes) -> FaultyServer:
    """Sends `start`, and then as much data as the client accepts."""

    def flood(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(start)
        while not over.is_set():
            connection.sendall(b" " * 2**16)

    return FaultyServer(flood)


def resetting() -> FaultyServer:
    """Resets the TCP connection."""

    def reset(connection: socket.socket, _: threading.Event) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    return FaultyServer(reset)


def _whole_request(connection: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        chunk = connection.recv(2**16)
        if not chunk:
            return request
        request += chunk
    head, _, body = request.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        chunk = connection.recv(2**16)
        if not chunk:
            break
        request += chunk
        body += chunk
    return request

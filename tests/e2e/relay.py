"""Makes the engine look like one on another machine: a relay to its socket, at another address or with another CPU.

Only the architecture in `docker info` is changed; everything else comes from the engine.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ANOTHER_HOST = "127.2"  # a short form of 127.0.0.2, which tfserve does not recognize as a loopback address

_INFO = re.compile(rb"GET (/v[\d.]+)?/info ")


@contextmanager
def with_architecture(architecture: str, engine: str, directory: Path) -> Iterator[str]:
    """The address of a relay to `engine`, a UNIX socket, that reports a CPU of this `architecture`."""
    path = directory / "relay.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        with _relayed(listener, engine, architecture):
            yield f"unix://{path}"


@contextmanager
def on_another_host(engine: str) -> Iterator[str]:
    """The address of a relay to `engine`, a UNIX socket, on `ANOTHER_HOST`."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.2", 0))
        with _relayed(listener, engine, None):
            yield f"tcp://{ANOTHER_HOST}:{listener.getsockname()[1]}"


@contextmanager
def _relayed(listener: socket.socket, engine: str, architecture: str | None) -> Iterator[None]:
    listener.listen(64)
    threading.Thread(target=_accept, args=(listener, engine, architecture), daemon=True).start()
    yield
    listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, engine: str, architecture: str | None) -> None:
    with suppress(OSError):  # the listener was closed
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, engine, architecture), daemon=True).start()


def _serve(client: socket.socket, engine: str, architecture: str | None) -> None:
    """Relays one request and closes the connection, so that the next request is relayed, too."""
    with client, socket.socket(socket.AF_UNIX) as upstream, suppress(OSError):
        request = b""
        while b"\r\n\r\n" not in request:
            if not (data := client.recv(65536)):
                return
            request += data
        head, _, body = request.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        upstream.connect(engine.removeprefix("unix://"))
        upstream.sendall(b"\r\n".join([*lines, b"Connection: close", b"", body]))
        if architecture is not None and _INFO.match(request):
            client.sendall(_rewritten(upstream, architecture))
            return
        threading.Thread(target=_copy, args=(client, upstream), daemon=True).start()
        _copy(upstream, client)


def _rewritten(upstream: socket.socket, architecture: str) -> bytes:
    response = http.client.HTTPResponse(upstream)
    response.begin()
    info = json.dumps({**json.loads(response.read()), "Architecture": architecture}).encode()
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(info)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + info


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):  # one side has closed the connection
        while data := source.recv(65536):
            target.sendall(data)

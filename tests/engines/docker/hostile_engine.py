"""A program that listens where a Docker Engine is expected, and answers whatever a test wants."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["CONTAINER", "INFO", "Answer", "Answers", "container", "engine", "http", "image"]

Answer = Any
"""A document to send as JSON; bytes to send unchanged; or a function that sends to the connection."""

Answers = dict[str, Answer]
"""The answers by the end of a path, without the version of the API and the query."""

INFO = {"Architecture": "x86_64", "ServerVersion": "29.0", "Runtimes": {"runc": {}}, "OperatingSystem": "Debian"}
CONTAINER = "c" * 64


def container(name: str = "web", **labels: Any) -> dict[str, Any]:
    """An entry of the engine's list for a server of tfserve."""
    written = {"tfserve.name": name, "tfserve.models": '["m"]', "tfserve.spec": json.dumps({"name": name})}
    return {
        "Id": CONTAINER,
        "Names": [f"/tfserve-{name}"],
        "Image": "tensorflow/serving:latest",
        "Created": 1_700_000_000,
        "State": "exited",
        "Ports": [],
        "Mounts": [],
        "Labels": {**written, **{f"tfserve.{key}": value for key, value in labels.items()}},
    }


def image(**labels: Any) -> dict[str, Any]:
    """An image with the entrypoint of TensorFlow Serving."""
    config = {"Labels": labels, "Entrypoint": ["/usr/bin/tf_serving_entrypoint.sh"], "Cmd": None, "Env": ["A=b"]}
    return {"Id": "sha256:1", "Os": "linux", "Architecture": "amd64", "Size": 1, "RepoDigests": [], "Config": config}


def http(body: bytes, *, status: str = "200 OK", head: str = "Content-Type: application/json\r\n") -> bytes:
    """A response with this body."""
    return f"HTTP/1.1 {status}\r\n{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@contextmanager
def engine(directory: Path, answers: Answers) -> Iterator[str]:
    """Runs the program on a UNIX socket in `directory`, and yields its address; it also answers what an engine must."""
    usual: Answers = {
        "/_ping": http(b"OK", head="Api-Version: 1.44\r\n"),
        "/info": INFO,
        "/containers/json": [],
        "/images/json": [],
        f"/containers/{CONTAINER}/json": {"State": {"ExitCode": 0, "OOMKilled": False}, "Config": {"Tty": False}},
    }
    known = {**usual, **answers}
    over = threading.Event()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "engine.sock"))
    listener.listen(20)

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                received = connection.recv(2**16)
                if not received:
                    return
                request += received
            path = re.sub(r"^/v[0-9.]+", "", request.split(b" ")[1].decode().partition("?")[0])
            answer = known.get(path, known.get("*", http(b'{"message": "no such thing"}', status="404 Not Found")))
            if callable(answer):
                answer(connection, over)
            else:
                connection.sendall(answer if isinstance(answer, bytes) else http(json.dumps(answer).encode()))

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"unix://{directory}/engine.sock"
    finally:
        over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)

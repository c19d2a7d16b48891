"""An HTTP file server on 127.0.0.1, as used to publish archives, that can also imitate network faults."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["FileServer", "file_server"]


@dataclass
class FileServer:
    """What the server sends, how it fails, and which requests it received.

    Attributes:
        url: its address.
        files: contents by path; each has an ETag that depends on its content.
        redirects: other paths, and the locations they redirect to.
        statuses: paths that are answered with this status and no body.
        cut: the number of bytes of a body after which it closes the connection; None for all.
        chunked: whether it omits Content-Length.
        requests: path, If-None-Match and status of each request.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    cut: int | None = None
    chunked: bool = False
    requests: list[tuple[str, str | None, int]] = field(default_factory=list)


@contextmanager
def file_server() -> Iterator[FileServer]:
    """Runs a file server while the block runs."""
    files = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            condition = self.headers.get("If-None-Match")
            content = files.files.get(path)
            tag = f'"{hash(content)}"'
            status = files.statuses.get(path, 302 if path in files.redirects else 200 if content is not None else 404)
            if status == 200 and condition == tag:
                status = 304
            files.requests.append((self.path, condition, status))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", files.redirects[path])
            if status == 200:
                self.send_header("ETag", tag)
            body = content if status == 200 and content is not None else b""
            if not files.chunked:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: files.cut])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    files.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield files
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)

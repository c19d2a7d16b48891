"""A real HTTP server of files on 127.0.0.1, as people publish archives with, and with the faults that networks have."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["FileServer", "file_server"]


@dataclass
class FileServer:
    """What it serves, and what it was asked.

    Attributes:
        url: its address.
        files: contents by path; each has an ETag that changes with it.
        redirects: where other paths lead.
        statuses: paths that are answered with a status and nothing else.
        cut: after how many bytes of a body it hangs up; None for not at all.
        chunked: whether it sends files without their length.
        asked: the path, the condition and the status of each request.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    cut: int | None = None
    chunked: bool = False
    asked: list[tuple[str, str | None, int]] = field(default_factory=list)


@contextmanager
def file_server() -> Iterator[FileServer]:
    """Runs one while the block does."""
    served = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            condition = self.headers.get("If-None-Match")
            content = served.files.get(path)
            tag = f'"{hash(content)}"'
            status = served.statuses.get(path, 302 if path in served.redirects else 200 if content is not None else 404)
            if status == 200 and condition == tag:
                status = 304
            served.asked.append((self.path, condition, status))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", served.redirects[path])
            if status == 200:
                self.send_header("ETag", tag)
            body = content if status == 200 and content is not None else b""
            if not served.chunked:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: served.cut])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)

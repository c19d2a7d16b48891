"""Reads the requests of one HTTP/1.1 connection: bytes as they come to exchanges for an application."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httptools

from tfserve.model_server.rest.exchange import Exchange

if TYPE_CHECKING:
    from tfserve.model_server.rest.connection import Connection

MAX_HEAD_BYTES = 1 << 18
"""About how large the request line and headers may be together; an endless one must not fill the memory."""


class NoRequestError(Exception):
    """Nothing more that comes can be read.

    Args:
        status: the HTTP status that says so; 0 for none, where only what came before is answered.
        reason: what is wrong, in ASCII.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class RequestReader:
    """Reads requests, and tells their connection of each as soon as its head is there.

    Args:
        connection: what the bytes come by.

    Attributes:
        incoming: the request whose body is being read; without it, a body is dropped.
    """

    def __init__(self, connection: Connection) -> None:
        self.incoming: Exchange | None = None
        self._connection = connection
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._expects = False
        self._head_bytes = 0  # of a head that has begun and is not complete

    def feed(self, data: bytes) -> None:
        """Reads what came.

        Raises:
            NoRequestError: it is not HTTP, or a head without an end; the connection knows of all that came before.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            raise NoRequestError(400, "The request is not HTTP") from None
        if self._head_bytes:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                raise NoRequestError(431, f"The head of the request is larger than {MAX_HEAD_BYTES} bytes")

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """Reads a request that asks for another protocol, which is not spoken here, as if it did not ask."""
        parser = self._parser
        method = parser.get_method()
        if method == b"CONNECT":
            raise NoRequestError(0, "What follows is for somebody else")
        self._connection.withdraw_request()
        headers = [b"%b: %b" % header for header in self._headers if header[0] != b"upgrade"]
        first = b"%b %b HTTP/%b" % (method, self._url, parser.get_http_version().encode())
        self._parser = httptools.HttpRequestParser(self)
        self.feed(b"\r\n".join([first, *headers, b"", b""]) + rest)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begins a request."""
        self._url = b""
        self._headers = []
        self._expects = False
        self._head_bytes = 1

    def on_url(self, url: bytes) -> None:
        """Adds to the target of the request."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Adds a header."""
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Makes the request ready to be answered, even before its body is there."""
        self._head_bytes = 0
        url = self._url
        if url.startswith(b"/"):
            path, _, query = url.partition(b"?")
        else:
            parsed = httptools.parse_url(url)
            path, query = parsed.path or b"/", parsed.query or b""
        parser = self._parser
        scope = {
            "type": "http",
            "method": parser.get_method().decode(),
            "raw_path": path,
            "query_string": query,
            "headers": self._headers,
        }
        keeps_alive, is_old = parser.should_keep_alive(), parser.get_http_version() == "1.0"
        request = Exchange(self._connection, scope, keeps_alive, is_old, self._expects)
        self.incoming = request
        self._connection.begin_request(request)

    def on_body(self, body: bytes) -> None:
        """Adds to the body."""
        if self.incoming is not None:
            self.incoming.feed(body)

    def on_message_complete(self) -> None:
        """Ends the request."""
        request, self.incoming = self.incoming, None
        if request is not None:
            self._connection.end_request(request)

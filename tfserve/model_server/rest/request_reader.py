"""Reads the requests of one HTTP/1.1 connection: bytes as they come to exchanges for an application."""

from __future__ import annotations

from typing import Protocol

import httptools

from tfserve.model_server.rest.exchange import Channel, Exchange

MAX_HEAD_BYTES = 1 << 18
"""How large the request line and headers may be together, and about how large what follows a body."""


_AROUND_A_HEADER = len(": \r\n")


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


_TOO_LARGE = NoRequestError(431, f"The head or the end of the request is larger than {MAX_HEAD_BYTES} bytes")


class RequestSink(Channel, Protocol):
    """Takes the requests that a reader reads."""

    def begin_request(self, request: Exchange) -> None:
        """Takes a request whose head is complete, and whose body may follow."""

    def withdraw_request(self) -> None:
        """Forgets the last request; it is read again."""

    def end_request(self, request: Exchange) -> None:
        """Takes the end of a request, which may already have been answered."""


class RequestReader:
    """Reads requests, and tells their connection of each as soon as its head is there.

    Args:
        connection: what the bytes come by.

    Attributes:
        incoming: the request whose body is being read; without it, a body is dropped.
    """

    def __init__(self, connection: RequestSink) -> None:
        self.incoming: Exchange | None = None
        self._connection = connection
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._expects = False
        self._in_request = False
        self._in_head = False
        self._got_on = False  # whether what is being fed ended a head, or brought some of a body
        self._bytes_in_vain = 0  # since then
        self._head_bytes = 0
        self._is_too_large = False

    def feed(self, data: bytes) -> None:
        """Reads what came.

        Raises:
            NoRequestError: it is not HTTP, or a head without an end; the connection knows of all that came before.
        """
        self._got_on = False
        try:
            self._feed_without_upgrades(data)
        except httptools.HttpParserError:
            raise NoRequestError(400, "The request is not HTTP") from None
        if self._is_too_large:
            raise _TOO_LARGE
        if self._in_request:
            self._bytes_in_vain = 0 if self._got_on else self._bytes_in_vain + len(data)
            if self._bytes_in_vain > MAX_HEAD_BYTES:
                raise _TOO_LARGE

    def _feed_without_upgrades(self, data: bytes) -> None:
        """Reads requests that ask for another protocol, which is not spoken here, as if they did not ask."""
        rest: bytes | memoryview = data
        while True:
            try:
                self._parser.feed_data(rest)
            except httptools.HttpParserUpgrade as upgrade:
                rest = memoryview(rest)[upgrade.args[0] :]
                self._begin_without_upgrade()
            else:
                return

    def _begin_without_upgrade(self) -> None:
        """Begins the last request anew, with another parser, as this one reads nothing more."""
        parser = self._parser
        method = parser.get_method()
        if method == b"CONNECT":
            raise NoRequestError(0, "What follows is for somebody else")
        self._connection.withdraw_request()
        headers = [b"%b: %b" % header for header in self._headers if header[0] != b"upgrade"]
        first = b"%b %b HTTP/%b" % (method, self._url, parser.get_http_version().encode())
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(b"\r\n".join([first, *headers, b"", b""]))

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begins a request."""
        self._url = b""
        self._headers = []
        self._expects = False
        self._head_bytes = 0
        self._in_request = self._in_head = self._got_on = True

    def on_url(self, url: bytes) -> None:
        """Adds to the target of the request."""
        self._url += url
        self._head_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Adds a header; what follows a chunked body in the form of headers has no meaning here."""
        if not self._in_head:
            return
        self._head_bytes += len(name) + len(value) + _AROUND_A_HEADER
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Makes the request ready to be answered, even before its body is there."""
        self._in_head = False
        self._got_on = True
        self._is_too_large |= self._head_bytes > MAX_HEAD_BYTES
        if self._is_too_large:
            return
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
        self._got_on = True
        if self.incoming is not None:
            self.incoming.feed(body)

    def on_message_complete(self) -> None:
        """Ends the request."""
        self._in_request = False
        request, self.incoming = self.incoming, None
        if request is not None:
            self._connection.end_request(request)

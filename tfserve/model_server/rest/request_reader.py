"""Parses the requests of one HTTP/1.1 connection: incoming bytes become exchanges for an application."""

from __future__ import annotations

from typing import Protocol

import httptools

from tfserve.model_server.rest.exchange import Channel, Exchange
from tfserve.model_server.rest.limits import Limits

_HEADER_OVERHEAD = len(": \r\n")
_FRAMING_BYTES = 1 << 20  # of the chunks of a body, from which on they must not be tiny
_MAX_LENGTH_DIGITS = 20  # of a header that the parser has accepted
_LEAST_CHUNKS = 4  # bytes of framing for each byte of a body, at most


class BadRequestError(Exception):
    """A request that is not valid HTTP, after which nothing more can be read.

    Args:
        status: the HTTP status of the response; 0 for no response, where only earlier requests are answered.
        reason: what is wrong, in ASCII.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class _LimitExceededError(Exception):
    """Stops the parser."""


class RequestSink(Channel, Protocol):
    """Receives the requests that a reader parses."""

    def begin_request(self, request: Exchange) -> None:
        """Receives a request whose head is complete, and whose body may follow."""

    def withdraw_request(self) -> None:
        """Drops the last request, which is parsed again."""

    def end_request(self, request: Exchange) -> None:
        """Receives the end of a request, which may already have been answered."""


class RequestReader:
    """Parses requests, and passes each to its connection as soon as the head is complete.

    Args:
        connection: the connection that the bytes arrive on.
        limits: `headers` and `header_bytes` of it, which also apply to what follows a body.

    Attributes:
        incoming: the request whose body is being read; if it is None, a body is discarded.
    """

    def __init__(self, connection: RequestSink, limits: Limits) -> None:
        self.incoming: Exchange | None = None
        self._connection = connection
        self._max_headers, self._max_bytes = limits.headers, limits.header_bytes
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._expects_continue = False
        self._in_request = False
        self._in_head = False
        self._made_progress = False  # whether the bytes being fed ended a head, or were part of a body
        self._unproductive_bytes = 0  # since the last progress
        self._head_bytes = 0
        self._header_count = 0
        self._body_bytes = 0  # of the current request, as are the next
        self._framing_bytes = 0  # of its head and its chunks

    @property
    def remaining(self) -> int:
        """How many bytes of a body of known length are still to come; 0 outside of one."""
        if not self._in_request or self._in_head:
            return 0
        remaining = 0
        for name, value in self._headers:
            if name == b"transfer-encoding":
                return 0
            if name == b"content-length":
                remaining = int(value[:_MAX_LENGTH_DIGITS]) - self._body_bytes
        return max(0, remaining)

    def feed(self, data: bytes | memoryview) -> None:
        """Parses the bytes that have arrived.

        Raises:
            BadRequestError: they are not HTTP, or a head without an end; earlier requests have been passed on.
        """
        self._made_progress = False
        try:
            self._feed_without_upgrades(data)
        except httptools.HttpParserError as failure:
            if isinstance(failure.__context__, _LimitExceededError):
                raise self._too_large() from None
            raise BadRequestError(400, "The request is not HTTP") from None
        if not self._in_request:
            return
        self._unproductive_bytes = 0 if self._made_progress else self._unproductive_bytes + len(data)
        self._framing_bytes += len(data)
        if self._unproductive_bytes > self._max_bytes:
            raise self._too_large()
        framing = self._framing_bytes - self._body_bytes
        if framing > max(_FRAMING_BYTES, _LEAST_CHUNKS * self._body_bytes):
            raise BadRequestError(400, "The chunks of the body are too small")

    def _too_large(self) -> BadRequestError:
        return BadRequestError(
            431,
            f"The request has more than {self._max_headers} headers (--rest_api_max_headers), or they are larger than "
            f"{self._max_bytes} bytes (--rest_api_max_header_bytes)",
        )

    def _feed_without_upgrades(self, data: bytes | memoryview) -> None:
        """Parses requests that ask to upgrade the protocol, which is not supported, as if they did not ask."""
        rest = data
        while True:
            try:
                self._parser.feed_data(rest)
            except httptools.HttpParserUpgrade as upgrade:
                rest = memoryview(rest)[upgrade.args[0] :]
                self._restart_without_upgrade()
            else:
                return

    def _restart_without_upgrade(self) -> None:
        """Parses the head of the last request again with a new parser, as the old one accepts no more input."""
        parser = self._parser
        method = parser.get_method()
        if method == b"CONNECT":
            raise BadRequestError(0, "A tunnel was requested")
        self._connection.withdraw_request()
        headers = [b"%b: %b" % header for header in self._headers if header[0] != b"upgrade"]
        first = b"%b %b HTTP/%b" % (method, self._url, parser.get_http_version().encode())
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(b"\r\n".join([first, *headers, b"", b""]))

    # Called by the parser.

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = []
        self._expects_continue = False
        self._head_bytes = self._header_count = self._body_bytes = self._framing_bytes = 0
        self._in_request = self._in_head = self._made_progress = True

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_count += 1
        self._count(len(name) + len(value) + _HEADER_OVERHEAD)
        if not self._in_head:  # the trailer of a chunked body, which is ignored
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects_continue = True
        self._headers.append((name, value))

    def _count(self, size: int) -> None:
        """Counts bytes of a head or trailer; stops the parser when they are too many."""
        self._head_bytes += size
        if self._head_bytes > self._max_bytes or self._header_count > self._max_headers:
            raise _LimitExceededError

    def on_headers_complete(self) -> None:
        """Passes the request on, before its body has arrived."""
        self._in_head = False
        self._made_progress = True
        url = self._url
        authority = None
        if url.startswith(b"/"):
            path, _, query = url.partition(b"?")
        else:
            parsed = httptools.parse_url(url)
            path, query = parsed.path or b"/", parsed.query or b""
            authority = (b"@" if parsed.userinfo else b"") + (parsed.host or b"")
        parser = self._parser
        scope = {
            "type": "http",
            "method": parser.get_method().decode(),
            "raw_path": path,
            "query_string": query,
            "headers": self._headers,
            "authority": authority,
        }
        keep_alive, is_http_1_0 = parser.should_keep_alive(), parser.get_http_version() == "1.0"
        request = Exchange(self._connection, scope, keep_alive, is_http_1_0, self._expects_continue)
        self.incoming = request
        self._connection.begin_request(request)

    def on_body(self, body: bytes) -> None:
        self._made_progress = True
        self._body_bytes += len(body)
        if self.incoming is not None:
            self.incoming.feed(body)

    def on_message_complete(self) -> None:
        self._in_request = False
        request, self.incoming = self.incoming, None
        if request is not None:
            self._connection.end_request(request)

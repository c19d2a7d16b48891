"""One request and its response on a connection: the ``receive`` and ``send`` of an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from http import HTTPStatus
from types import coroutine
from typing import Any, Protocol

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]
App = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]

STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
LARGE_RESPONSE = 1 << 17
"""Size of a response from which on it waits for the client to read it."""

_CHUNK_OVERHEAD = 64  # bytes that a piece of a body takes beyond its own

STATUS_LINES[499] = b"HTTP/1.1 499 Client Closed Request\r\n"


class Channel(Protocol):
    """The part of a connection that an exchange uses.

    Attributes:
        lost: whether the connection has been closed.
    """

    lost: bool

    @property
    def closing(self) -> bool:
        """Whether the connection ends after its current request."""

    @property
    def date(self) -> bytes:
        """The ``Date`` header line."""

    def write(self, data: bytes) -> None:
        """Sends bytes, unless the connection has been closed."""

    def resume_reading(self) -> None:
        """Reads from the client again, if reading was paused."""

    def abort(self) -> None:
        """Closes the connection immediately."""

    def unsent(self) -> int:
        """Returns how many of the bytes that were written wait for the client to read."""

    async def drained(self) -> None:
        """Waits until the client has accepted most of what was written, or the connection has been closed."""


class Exchange:
    """A request as it arrives, and its response, which is sent in one piece.

    Args:
        connection: the connection of the client.
        scope: the ASGI scope of the request.
        keep_alive: whether another request can follow.
        is_http_1_0: whether the client uses HTTP/1.0.
        expects_continue: whether the client waits for ``100 Continue`` before it sends the body.

    Attributes:
        scope: the ASGI scope.
        keep_alive: whether another request can follow; a response can set it to False.
        buffered: how much memory the part of the body takes that the application has not received, in bytes.
        complete: whether the whole request has arrived.
        truncated: whether the rest of the request will never arrive.
        interrupted: whether the application no longer waits for the rest.
        answered: whether the response has been sent.
    """

    __slots__ = (
        *("_chunks", "_expects_continue", "_head", "_connection", "_is_http_1_0", "_waiter"),
        *("answered", "buffered", "complete", "interrupted", "keep_alive", "scope", "truncated"),
    )

    def __init__(
        self, connection: Channel, scope: Scope, keep_alive: bool, is_http_1_0: bool, expects_continue: bool
    ) -> None:
        self._connection = connection
        self._is_http_1_0 = is_http_1_0
        self._expects_continue = expects_continue
        self._chunks: list[bytes] = []
        self._head: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self.scope = scope
        self.keep_alive = keep_alive
        self.buffered = 0
        self.complete = False
        self.truncated = False
        self.interrupted = False
        self.answered = False

    def feed(self, chunk: bytes) -> None:
        """Adds a piece of the body; after the response, it is discarded."""
        if not self.answered:
            self._chunks.append(chunk)
            self.buffered += len(chunk) + _CHUNK_OVERHEAD
            self.wake()

    def wake(self) -> None:
        """Wakes the application if it is waiting in `receive`."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def discard(self) -> None:
        """Frees what has arrived of the body of a lost connection, and has `receive` report that it is lost."""
        self._chunks = []
        self.buffered = 0
        self.wake()

    def interrupt(self) -> None:
        """Has `receive` report a disconnected client, or, once the response is being sent, closes the connection."""
        if self.answered:
            self._connection.abort()
        else:
            self.interrupted = True
            self.wake()

    def unsent(self) -> int:
        """Returns how many bytes of the response wait for the client to read."""
        return self._connection.unsent()

    async def receive(self) -> dict[str, Any]:
        """Returns the part of the body that has arrived since the last call; waits if there is none."""
        while not self._chunks and not self.complete:
            if self._connection.lost or self.truncated or self.answered or self.interrupted:
                return {"type": "http.disconnect"}
            if self._expects_continue:
                self._expects_continue = False
                self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._connection.resume_reading()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        chunks, self._chunks = self._chunks, []
        self.buffered = 0
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return {"type": "http.request", "body": body, "more_body": not self.complete}

    async def send(self, message: dict[str, Any]) -> None:
        """Takes the head of the response, then its body, and sends both together."""
        if message["type"] == "http.response.start":
            head = self._head = [STATUS_LINES[message["status"]], self._connection.date]
            for name, value in message["headers"]:
                if name == b"connection":
                    self.keep_alive = False  # an application only uses this header to close the connection
                else:
                    head += (name.title(), b": ", value, b"\r\n")
            return
        head = self._head
        if not self.keep_alive or self._connection.closing or (self._expects_continue and not self.complete):
            self.keep_alive = False
            head.append(b"Connection: close\r\n")
        elif self._is_http_1_0:
            head.append(b"Connection: keep-alive\r\n")
        head.append(b"\r\n")
        body = message["body"] if self.scope["method"] != "HEAD" else b""
        self.answered = True
        if len(body) < LARGE_RESPONSE:
            head.append(body)
            self._connection.write(b"".join(head))
        else:
            self._connection.write(b"".join(head))
            self._connection.write(body)
            await self._connection.drained()


def exchange_of(receive: Receive) -> Exchange | None:
    """Returns the exchange that an application receives from; None in another server than `HttpServer`."""
    exchange = getattr(receive, "__self__", None)
    return exchange if isinstance(exchange, Exchange) else None


@coroutine
def resume(started: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """Continues a coroutine that has run up to where it waits for `awaited`."""
    while True:
        try:
            result = yield awaited
        except BaseException as failure:
            step: Callable[[Any], Any] = started.throw
            value: Any = failure
        else:
            step, value = started.send, result
        try:
            awaited = step(value)
        except StopIteration:
            return

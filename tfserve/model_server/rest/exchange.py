"""One request and its response on a connection: the ``receive`` and ``send`` that an ASGI application is given."""

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
STATUS_LINES[499] = b"HTTP/1.1 499 Client Closed Request\r\n"


class Channel(Protocol):
    """What an exchange needs of the connection that it belongs to.

    Attributes:
        lost: whether the client is gone.
    """

    lost: bool

    @property
    def closing(self) -> bool:
        """Whether the connection ends with the request that runs."""

    @property
    def date(self) -> bytes:
        """The header line ``Date``."""

    def write(self, data: bytes) -> None:
        """Sends bytes, unless the client is gone."""

    def resume_reading(self) -> None:
        """Lets more bytes come, if they were held back."""


class Exchange:
    """A request as it comes in, and its response, which goes out in one piece.

    Args:
        connection: what it came by.
        scope: what the application is told of the request.
        keep_alive: whether another one may follow.
        old: whether the client speaks HTTP/1.0.
        expects: whether the client waits for a word before it sends the body.

    Attributes:
        scope: the same.
        keep_alive: the same, until the response says otherwise.
        buffered: bytes of the body that came and were not yet received.
        complete: whether all of the request came.
        broken: whether the rest of it never will.
        answered: whether the response was sent.
    """

    __slots__ = (
        *("_chunks", "_expects", "_head", "_connection", "_old", "_waiter"),
        *("answered", "broken", "buffered", "complete", "keep_alive", "scope"),
    )

    def __init__(self, connection: Channel, scope: Scope, keep_alive: bool, old: bool, expects: bool) -> None:
        self._connection = connection
        self._old = old
        self._expects = expects
        self._chunks: list[bytes] = []
        self._head: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self.scope = scope
        self.keep_alive = keep_alive
        self.buffered = 0
        self.complete = False
        self.broken = False
        self.answered = False

    def feed(self, chunk: bytes) -> None:
        """Takes a piece of the body; what comes after the response is dropped."""
        if not self.answered:
            self._chunks.append(chunk)
            self.buffered += len(chunk)
            self.wake()

    def wake(self) -> None:
        """Tells the application that there is more to receive."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def receive(self) -> dict[str, Any]:
        """Returns what came of the body since the last call; waits if that is nothing."""
        while not self._chunks and not self.complete:
            if self._connection.lost or self.broken or self.answered:
                return {"type": "http.disconnect"}
            if self._expects:
                self._expects = False
                self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._connection.resume_reading()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        chunks, self._chunks = self._chunks, []
        self.buffered = 0
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return {"type": "http.request", "body": body, "more_body": not self.complete}

    async def send(self, message: dict[str, Any]) -> None:
        """Takes the head of the response, and then its body, which sends both."""
        if message["type"] == "http.response.start":
            head = self._head = [STATUS_LINES[message["status"]], self._connection.date]
            for name, value in message["headers"]:
                if name == b"connection":
                    self.keep_alive = False  # the only thing that an application may say about it
                else:
                    head += (name.title(), b": ", value, b"\r\n")
            return
        head = self._head
        if not self.keep_alive or self._connection.closing or (self._expects and not self.complete):
            self.keep_alive = False
            head.append(b"Connection: close\r\n")
        elif self._old:
            head.append(b"Connection: keep-alive\r\n")
        head.append(b"\r\n")
        if self.scope["method"] != "HEAD":
            head.append(message["body"])
        self.answered = True
        self._connection.write(b"".join(head))


@coroutine
def resumed(started: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """Goes on with a coroutine that was run up to where it waits for `awaited`."""
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

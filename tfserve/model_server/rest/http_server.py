"""The HTTP server under the REST API: a socket, the connections to it, and an orderly end."""

from __future__ import annotations

import asyncio
import socket
import time
from email.utils import formatdate

from tfserve.model_server.inference.dispatcher import DRAIN_SECONDS
from tfserve.model_server.rest.connection import Connection, Shared
from tfserve.model_server.rest.exchange import App
from tfserve.model_server.status import Code, StatusError

SILENCE_SECONDS = 50  # how long a client may be waited for: libevent's default, which the official server keeps
_LAST_WORDS_SECONDS = 0.5
_BODY_SECONDS = 1.0  # how long the rest of a request may still take at the end
_POLL_SECONDS = 0.01
_BACKLOG = 2048


def listen(address: str, port: int) -> socket.socket:
    """Returns a socket that listens on `address` and `port`; clients that connect wait until `serve` is called.

    Raises:
        StatusError: UNAVAILABLE, the address or the port cannot be had.
    """
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, OverflowError) as failure:
        raise StatusError(Code.UNAVAILABLE, f"Couldn't bind address {address} to port {port}: {failure}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(target)
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as failure:
        listener.close()
        raise StatusError(Code.UNAVAILABLE, f"Couldn't bind address {address} to port {port}: {failure}") from None
    return listener


class Server(Shared):
    """The connections of one socket, kept and ended together."""

    async def tick(self, silence_seconds: float) -> None:
        """Keeps the date, and ends connections whose clients have nothing to say any more; runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self.date = b"Date: %b\r\n" % formatdate(usegmt=True).encode()
            since = loop.time() - silence_seconds
            for connection in list(self.connections):
                connection.close_if_silent(since)
            await asyncio.sleep(min(1.0, silence_seconds / 2))

    async def drain(self, seconds: float, body_seconds: float) -> None:
        """Lets running requests finish for at most `seconds`, then cuts them short.

        Those that are not yet whole get `body_seconds`.
        """
        self.stopping = True
        for connection in list(self.connections):
            connection.close_if_idle()
        deadline = time.monotonic() + seconds
        if self.tasks:
            await asyncio.wait(set(self.tasks), timeout=min(seconds, body_seconds))
        for connection in list(self.connections):
            connection.give_up_incoming()
        if self.tasks:
            await asyncio.wait(set(self.tasks), timeout=max(0, deadline - time.monotonic()))
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(set(self.tasks), timeout=_LAST_WORDS_SECONDS)
        deadline = time.monotonic() + _LAST_WORDS_SECONDS
        while self.connections and time.monotonic() < deadline:  # what was answered is still on its way
            await asyncio.sleep(_POLL_SECONDS)


async def serve(
    app: App,
    listener: socket.socket,
    stop: asyncio.Event,
    silence_seconds: float = SILENCE_SECONDS,
    drain_seconds: float = DRAIN_SECONDS,
    body_seconds: float = _BODY_SECONDS,
) -> None:
    """Serves an ASGI application until it is told to stop, and lets what runs then finish.

    Args:
        app: answers the requests; responses of one piece only.
        listener: from `listen`.
        stop: ends the serving once it is set.
        silence_seconds: how long a client may be waited for.
        drain_seconds: how long requests may still run after `stop`.
        body_seconds: how long the rest of a request may be waited for then.
    """
    state = Server(app)
    loop = asyncio.get_running_loop()
    ticking = asyncio.ensure_future(state.tick(silence_seconds))
    await asyncio.sleep(0)  # for the first date
    server = await loop.create_server(lambda: Connection(state), sock=listener, backlog=_BACKLOG)
    try:
        await stop.wait()
        server.close()
        await state.drain(drain_seconds, body_seconds)
    finally:
        server.close()
        ticking.cancel()

"""The HTTP server of the REST API: a listening socket, its connections, and an orderly shutdown."""

from __future__ import annotations

import asyncio
import socket
import time
from email.utils import formatdate

from tfserve.addresses import is_loopback
from tfserve.model_server.inference.dispatcher import DRAIN_SECONDS
from tfserve.model_server.rest.connection import Connection
from tfserve.model_server.rest.server_state import ServerState
from tfserve.model_server.status import Code, StatusError

IDLE_TIMEOUT = 50  # seconds; libevent's default, which the official server keeps
_BODY_SECONDS = 1.0  # for the rest of an incomplete request during the shutdown
_FLUSH_SECONDS = 0.5  # for the last responses during the shutdown
_POLL_SECONDS = 0.01
_BACKLOG = 2048


def listen(address: str, port: int) -> socket.socket:
    """Returns a socket that listens on `address` and `port`; clients that connect wait for `HttpServer.serve`.

    Raises:
        StatusError: UNAVAILABLE, the address or the port cannot be used.
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


def is_on_loopback(listener: socket.socket) -> bool:
    """Returns whether only programs on this machine can connect to a socket."""
    return is_loopback(listener.getsockname()[0])


class HttpServer(ServerState):
    """Serves an ASGI application, whose responses have one piece."""

    async def serve(
        self,
        listener: socket.socket,
        stop: asyncio.Event,
        idle_timeout: float = IDLE_TIMEOUT,
        drain_seconds: float = DRAIN_SECONDS,
        body_seconds: float = _BODY_SECONDS,
    ) -> None:
        """Serves until `stop` is set, then finishes the running requests.

        Args:
            listener: the socket that `listen` returned.
            stop: starts the shutdown when it is set.
            idle_timeout: seconds after which a connection is closed that is waiting for its client.
            drain_seconds: how long running requests get to finish during the shutdown.
            body_seconds: how long incomplete requests get to arrive during the shutdown.
        """
        ticking = asyncio.ensure_future(self._tick(idle_timeout))
        await asyncio.sleep(0)  # sets the first date
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self), sock=listener, backlog=_BACKLOG
        )
        try:
            await stop.wait()
            server.close()
            await self._drain(drain_seconds, body_seconds)
        finally:
            server.close()
            ticking.cancel()

    def abort_idle(self, since: float) -> None:
        """Aborts the connections that are waiting for clients last active before `since`, in the time of the loop."""
        for connection in list(self.connections):
            connection.abort_if_idle(since)

    async def _tick(self, idle_timeout: float) -> None:
        """Updates the date and aborts idle connections, until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self.date = b"Date: %b\r\n" % formatdate(usegmt=True).encode()
            self.abort_idle(loop.time() - idle_timeout)
            await asyncio.sleep(min(1.0, idle_timeout / 2))

    async def _drain(self, seconds: float, body_seconds: float) -> None:
        """Gives running requests `seconds` to finish, and incomplete ones `body_seconds`, then cancels them."""
        self.stopping = True
        for connection in list(self.connections):
            connection.close_if_idle()
        deadline = time.monotonic() + seconds
        if self.tasks:
            await asyncio.wait(set(self.tasks), timeout=min(seconds, body_seconds))
        for connection in list(self.connections):
            connection.abandon_incoming()
        if self.tasks:
            await asyncio.wait(set(self.tasks), timeout=max(0, deadline - time.monotonic()))
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(set(self.tasks), timeout=_FLUSH_SECONDS)
        deadline = time.monotonic() + _FLUSH_SECONDS
        while self.connections and time.monotonic() < deadline:  # responses are still being sent
            await asyncio.sleep(_POLL_SECONDS)

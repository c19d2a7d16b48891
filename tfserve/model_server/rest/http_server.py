"""The HTTP server under the REST API: a socket, uvicorn with httptools on it, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from tfserve.model_server.inference.dispatcher import DRAIN_SECONDS
from tfserve.model_server.status import Code, StatusError

KEEP_ALIVE_SECONDS = 50  # libevent's default, which the official server keeps
_LAST_WORDS_SECONDS = 0.5
_BACKLOG = 2048


class _Server(uvicorn.Server):
    """uvicorn's server, with signals left to the program that runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the handlers as they are."""
        yield


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


async def serve(app: Any, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serves `app` on `listener` until `stop` is set, then lets running requests finish for at most DRAIN_SECONDS."""
    config = uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        ws="none",
        interface="asgi3",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    server = _Server(config)

    async def end_on_stop() -> None:
        await stop.wait()
        server.should_exit = True

    watcher = asyncio.ensure_future(end_on_stop())
    try:
        await server.serve(sockets=[listener])
        if server.server_state.tasks:  # these were cut short, and still have to say so
            await asyncio.wait(server.server_state.tasks, timeout=_LAST_WORDS_SECONDS)
    finally:
        watcher.cancel()
        listener.close()

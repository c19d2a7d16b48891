"""What the connections of the REST API have in common."""

from __future__ import annotations

import asyncio
from typing import Protocol

from tfserve.model_server.rest.exchange import App
from tfserve.model_server.rest.limits import Limits

MAX_BYTES_AHEAD = 1 << 26
"""How many bytes all clients together can send behind requests that are being answered."""


class OpenConnection(Protocol):
    """The part of a connection that the server uses."""

    def close_if_idle(self) -> None:
        """Closes the connection unless it has a request, which then is its last one."""

    def abandon_incoming(self) -> None:
        """Stops waiting for the rest of an incomplete request; complete requests are still answered."""

    def abort_if_idle(self, since: float) -> None:
        """Aborts the connection if it is waiting for its client, which was last active before `since`."""


class ServerState:
    """The state that the connections of one socket share.

    Args:
        app: the application that answers the requests.
        limits: of the requests.

    Attributes:
        app: the application.
        limits: of the requests.
        date: the ``Date`` header line of the current second.
        connections: the open connections.
        tasks: the requests that are waiting in the application.
        bytes_ahead: how many bytes clients have sent behind requests that are still being answered.
        stopping: whether each connection ends after its current request.
    """

    def __init__(self, app: App, limits: Limits | None = None) -> None:
        self.app = app
        self.limits = limits or Limits()
        self.date = b""
        self.connections: set[OpenConnection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.bytes_ahead = 0
        self.stopping = False

    def is_too_far_ahead(self) -> bool:
        """Returns whether clients have sent too much behind requests that are being answered."""
        return self.bytes_ahead > MAX_BYTES_AHEAD

"""gRPC's standard health service, which ``--enable_grpc_healthcheck_service`` turns on as in the official server.

It has a status for the server as a whole, whose name is empty, and for ``ModelService`` and ``PredictionService``. The
status changes once, when the server shuts down. Sources: ``server.cc`` of TensorFlow Serving, and gRPC's
``default_health_check_service.cc``.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthServicer, add_HealthServicer_to_server

_NAMES = ("", "ModelService", "PredictionService")


class HealthService(HealthServicer):  # type: ignore[misc]  # the package has no types
    """The service; `end` ends the calls of its watchers."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Adds the service to `server`, which must not have been started."""
        add_HealthServicer_to_server(self, server)

    def end(self) -> None:
        """Sends NOT_SERVING to every watcher, and ends its call."""
        self._ended.set()

    async def Check(self, request: HealthCheckRequest, context: Any) -> HealthCheckResponse:  # noqa: N802, gRPC calls it by this name
        """Returns the status of a service."""
        if request.service not in _NAMES:
            await context.abort(grpc.StatusCode.NOT_FOUND, "service name unknown")
        return self._status(request.service)

    async def Watch(self, request: HealthCheckRequest, context: Any) -> None:  # noqa: N802
        """Streams the status of a service until the client disconnects or the server shuts down."""
        await context.write(self._status(request.service))
        if not self._ended.is_set():
            await self._ended.wait()
            if request.service in _NAMES:
                await context.write(self._status(request.service))
        await context.abort(grpc.StatusCode.UNAVAILABLE, "The server is shutting down")

    def _status(self, name: str) -> HealthCheckResponse:
        if name not in _NAMES:
            return HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN)
        ended = self._ended.is_set()
        return HealthCheckResponse(
            status=HealthCheckResponse.NOT_SERVING if ended else HealthCheckResponse.SERVING,
        )

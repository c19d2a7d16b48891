"""gRPC's standard health service, as the official server has it behind ``--enable_grpc_healthcheck_service``.

It knows the server as a whole, which is the empty name, and the names ``ModelService`` and ``PredictionService``. Their
status changes once, when the server is told to end. Source: ``server.cc`` of TensorFlow Serving, and gRPC's
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
    """The service; `end` lets its watchers go."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Makes `server`, which is not started yet, serve it."""
        add_HealthServicer_to_server(self, server)

    def end(self) -> None:
        """Tells every watcher that nothing is served any more, and lets it go."""
        self._ended.set()

    async def Check(self, request: HealthCheckRequest, context: Any) -> HealthCheckResponse:  # noqa: N802, its name
        """Returns the status of a service."""
        if request.service not in _NAMES:
            await context.abort(grpc.StatusCode.NOT_FOUND, "service name unknown")
        return self._status(request.service)

    async def Watch(self, request: HealthCheckRequest, context: Any) -> None:  # noqa: N802
        """Streams the status of a service, until the client goes or the server ends."""
        await context.write(self._status(request.service))
        if not self._ended.is_set():
            await self._ended.wait()
            if request.service in _NAMES:
                await context.write(self._status(request.service))
        await context.abort(grpc.StatusCode.UNAVAILABLE, "The server was told to end")

    def _status(self, name: str) -> HealthCheckResponse:
        if name not in _NAMES:
            return HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN)
        ended = self._ended.is_set()
        return HealthCheckResponse(
            status=HealthCheckResponse.NOT_SERVING if ended else HealthCheckResponse.SERVING,
        )

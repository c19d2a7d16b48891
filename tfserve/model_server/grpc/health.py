"""gRPC's standard health service, as the official server has it behind ``--enable_grpc_healthcheck_service``.

It knows the server as a whole, which is the empty name, and the names ``ModelService`` and ``PredictionService``.
Source: ``server.cc`` of TensorFlow Serving, and gRPC's ``default_health_check_service.cc``.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio

_SERVICES = ("ModelService", "PredictionService")
_TELL_SECONDS = 0.5


class HealthService(aio.HealthServicer):  # type: ignore[misc]  # the package has no types
    """The service; `end` lets its watchers go."""

    def __init__(self) -> None:
        super().__init__()
        self._ended = asyncio.Event()

    async def add_to(self, server: grpc.aio.Server) -> None:
        """Makes `server`, which is not started yet, serve it."""
        for name in _SERVICES:
            await self.set(name, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(self, server)

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> Any:  # noqa: N802, the method's name
        """Returns the status of a service."""
        if request.service not in self._server_status:
            await context.abort(grpc.StatusCode.NOT_FOUND, "service name unknown")
        return await super().Check(request, context)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:  # noqa: N802
        """Streams the status of a service, until the client goes or the server ends."""
        watching = asyncio.ensure_future(super().Watch(request, context))
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait({watching, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            watching.cancel()
            ended.cancel()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "The server was told to end")

    async def end(self) -> None:
        """Tells every watcher that nothing is served any more, and lets it go."""
        telling = asyncio.ensure_future(self.enter_graceful_shutdown())
        await asyncio.wait({telling}, timeout=_TELL_SECONDS)  # a watcher that does not read holds it up
        telling.cancel()
        self._ended.set()

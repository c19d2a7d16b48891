"""gRPC's standard health service, which ``--enable_grpc_healthcheck_service`` turns on as in the official server.

It has a status for the server as a whole, whose name is empty, and for ``ModelService`` and ``PredictionService``. The
status changes once, when the server shuts down. Sources: ``server.cc`` of TensorFlow Serving, and gRPC's
``default_health_check_service.cc``.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from tfserve.model_server.grpc.calls import Call, Calls
from tfserve.model_server.grpc.handlers import Method, Service, service_handlers
from tfserve.model_server.grpc.messages import read_message
from tfserve.model_server.grpc.statuses import abort
from tfserve.model_server.status import Code, StatusError

_SERVICE = "grpc.health.v1.Health"
_NAMES = ("", "ModelService", "PredictionService")
_MAX_BYTES = 4096
_MAX_WATCHERS = 500


class HealthService:
    """The service; `end` ends the calls of its watchers.

    Args:
        calls: all calls of the server.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._ended = asyncio.Event()
        self._watchers = 0

    def add_to(self, server: grpc.aio.Server) -> None:
        """Adds the service to `server`, which must not have been started."""
        handlers = service_handlers(_SERVICE, {"Check": Method(self._check, _MAX_BYTES)}, self._calls)
        handlers[f"/{_SERVICE}/Watch"] = grpc.stream_stream_rpc_method_handler(self._watch)
        server.add_generic_rpc_handlers((Service(handlers, self._calls),))

    def end(self) -> None:
        """Sends NOT_SERVING to every watcher, and ends its call."""
        self._ended.set()

    async def _check(self, body: bytes, call: Call) -> bytes:
        """Returns the status of a service."""
        name = _name(body)
        if name not in _NAMES:
            raise StatusError(Code.NOT_FOUND, "service name unknown")
        return _serialized(self._status(name))

    async def _watch(self, _: Any, context: Any) -> None:
        """Streams the status of a service until the client disconnects or the server shuts down."""
        if self._watchers == _MAX_WATCHERS:
            await abort(context, Code.RESOURCE_EXHAUSTED, f"{_MAX_WATCHERS} clients watch the server already")
        self._watchers += 1
        try:
            await self._send_statuses(context)
        except StatusError as failure:
            code, message = failure.code, failure.message
        else:
            code, message = Code.UNAVAILABLE, "The server is shutting down"
        finally:
            self._watchers -= 1
        await abort(context, code, message)

    async def _send_statuses(self, context: Any) -> None:
        """Sends the status, and the next one when the server shuts down.

        Raises:
            StatusError: the message does not arrive, or is none.
        """
        call = self._calls.begin(context)
        body = await self._calls.read(call)
        if len(body) > _MAX_BYTES:
            raise StatusError(Code.RESOURCE_EXHAUSTED, f"The message has {len(body)} bytes; the limit is {_MAX_BYTES}")
        name = _name(body)
        await context.write(_serialized(self._status(name)))
        if not self._ended.is_set():
            await self._ended.wait()
            if name in _NAMES:
                await context.write(_serialized(self._status(name)))

    def _status(self, name: str) -> HealthCheckResponse:
        if name not in _NAMES:
            return HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN)
        ended = self._ended.is_set()
        return HealthCheckResponse(
            status=HealthCheckResponse.NOT_SERVING if ended else HealthCheckResponse.SERVING,
        )


def _name(body: bytes) -> str:
    name: str = read_message(HealthCheckRequest, body).service
    return name


def _serialized(message: Message) -> bytes:
    serialized: bytes = message.SerializeToString()
    return serialized

"""The gRPC server: methods, ports, limits, and an orderly shutdown.

It runs on the same event loop as the REST API, so ``--grpc_max_threads`` has no effect: a request has a thread of its
own only while a slow model runs. Sources: ``server.cc``, ``grpc_status_util.cc``, ``prediction_service.proto``
and ``model_service.proto`` of TensorFlow Serving.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from tfserve.addresses import in_url
from tfserve.host.ports import is_free
from tfserve.model_server import log
from tfserve.model_server.flags import Options
from tfserve.model_server.grpc.credentials import server_credentials
from tfserve.model_server.grpc.examples_requests import GrpcClassify, GrpcRegress
from tfserve.model_server.grpc.handlers import Answer, service_handler
from tfserve.model_server.grpc.model_service import get_model_metadata, model_service
from tfserve.model_server.grpc.multi_inference import GrpcMultiInference
from tfserve.model_server.grpc.predict import GrpcPredict
from tfserve.model_server.inference.dispatcher import DRAIN_SECONDS, Dispatcher
from tfserve.model_server.inference.request import InferenceRequest
from tfserve.model_server.status import invalid_argument
from tfserve.protos.tensors import to_proto_content, to_proto_fields

_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,10}\s*")
_MAX_TIMEOUT_SECONDS = 10_000_000  # gRPC reports hundreds of years for a call without a deadline


class GrpcServer:
    """The server; it listens once it is created, and answers while `serve` runs.

    Args:
        dispatcher: runs the requests.
        options: at least one of `port` and `grpc_socket_path` is set.

    Raises:
        StatusError: INVALID_ARGUMENT, an option is invalid, or an address cannot be used.
    """

    def __init__(self, dispatcher: Dispatcher, options: Options) -> None:
        arguments = {
            "grpc.so_reuseport": 0,  # otherwise a second server could silently share the port
            "grpc.max_send_message_length": -1,
            "grpc.max_receive_message_length": options.grpc_max_message_bytes,
            **channel_arguments(options.grpc_channel_arguments),
        }
        self._server = grpc.aio.server(options=list(arguments.items()))
        for service, answers in _services(dispatcher, options).items():
            self._server.add_generic_rpc_handlers((service_handler(service, answers),))
        self._with_health = options.enable_grpc_healthcheck_service
        credentials = server_credentials(options.ssl_config_file, options.use_alts_credentials)
        self._unusable = (
            "--use_alts_credentials needs ALTS, which is available only on Google's machines"
            if options.use_alts_credentials
            else "--ssl_config_file has a key or a certificate that cannot be used"
        )
        if options.port != 0:
            address = f"{in_url(options.bind_address)}:{options.port}"
            self._listen(address, credentials)
            log.info(f"Running gRPC ModelServer at {address} ...")
        if options.grpc_socket_path:
            self._listen(f"unix:{options.grpc_socket_path}", credentials)
            log.info(f"Running gRPC ModelServer at UNIX socket {options.grpc_socket_path} ...")

    async def serve(self, stop: asyncio.Event) -> None:
        """Serves until `stop` is set, then gives running requests DRAIN_SECONDS to finish."""
        health = None
        if self._with_health:
            from tfserve.model_server.grpc.health import HealthService

            health = HealthService()
            health.add_to(self._server)
        await self._server.start()
        await stop.wait()
        if health:
            health.end()
        await self._server.stop(DRAIN_SECONDS)

    def _listen(self, address: str, credentials: grpc.ServerCredentials | None) -> None:
        """Opens a port; raises StatusError INVALID_ARGUMENT if that fails."""
        try:
            if credentials is None:
                self._server.add_insecure_port(address)
            else:
                self._server.add_secure_port(address, credentials)
        except RuntimeError as failure:
            problem = str(failure)
            host, _, port = address.rpartition(":")
            if credentials is not None and port.isdigit() and is_free(host.strip("[]"), int(port)):
                problem = self._unusable
            raise invalid_argument(f"Failed to BuildAndStart gRPC server: {problem}") from None


def _services(dispatcher: Dispatcher, options: Options) -> dict[str, dict[str, Answer]]:
    """Returns the handler of each method of each service."""
    manager = dispatcher.manager
    to_proto = to_proto_content if options.enable_serialization_as_tensor_content else to_proto_fields
    inference: dict[str, Callable[[bytes, int], InferenceRequest]] = {
        "Predict": functools.partial(GrpcPredict, to_proto=to_proto),
        "Classify": GrpcClassify,
        "Regress": GrpcRegress,
        "MultiInference": GrpcMultiInference,
    }

    async def metadata(body: bytes, context: Any) -> bytes:
        return get_model_metadata(manager, body)

    return {
        "PredictionService": {
            **{name: _infer(dispatcher, make_request) for name, make_request in inference.items()},
            "GetModelMetadata": metadata,
        },
        "ModelService": model_service(manager, options.config_reload_socket_path),
    }


def _infer(dispatcher: Dispatcher, make_request: Callable[[bytes, int], InferenceRequest]) -> Answer:
    """Returns the handler of an inference method; the deadline of the client ends the run."""

    def answer(body: bytes, context: Any) -> Awaitable[bytes]:
        seconds: float | None = context.time_remaining()
        timeout_ms = 0 if seconds is None or seconds > _MAX_TIMEOUT_SECONDS else max(1, int(seconds * 1000))
        return dispatcher.answer(make_request(body, timeout_ms))

    return answer


def channel_arguments(text: str) -> dict[str, int | str]:
    """Parses ``KEY=VALUE,KEY=VALUE``; a value that is a 32-bit integer becomes an integer, any other a string.

    Raises:
        StatusError: INVALID_ARGUMENT, a part has no ``=``.
    """
    arguments: dict[str, int | str] = {}
    for part in text.split(",") if text else ():
        key, equals, value = part.partition("=")
        if not key or not equals:
            raise invalid_argument(f"--grpc_channel_arguments: {part!r} is not KEY=VALUE")
        number = int(value) if _INTEGER.fullmatch(value) else None
        arguments[key] = number if number is not None and -(1 << 31) <= number < 1 << 31 else value
    return arguments

"""The gRPC server: methods, ports, limits, and an orderly shutdown.

It runs on the same event loop as the REST API, so ``--grpc_max_threads`` has no effect: a request has a thread of its
own only while a slow model runs. Sources: ``server.cc``, ``grpc_status_util.cc``, ``prediction_service.proto``
and ``model_service.proto`` of TensorFlow Serving.
"""

from __future__ import annotations

import asyncio
import functools
import re
import resource

import grpc
import grpc.aio

from tfserve.addresses import in_url
from tfserve.host.ports import is_free
from tfserve.model_server import log
from tfserve.model_server.flags import Options
from tfserve.model_server.grpc import compression
from tfserve.model_server.grpc.calls import Call, Calls
from tfserve.model_server.grpc.credentials import server_credentials
from tfserve.model_server.grpc.examples_requests import GrpcClassify, GrpcRegress
from tfserve.model_server.grpc.handlers import Answer, Method, service_handler
from tfserve.model_server.grpc.inference import Inference
from tfserve.model_server.grpc.model_service import MAX_SHORT_BYTES, get_model_metadata, model_service
from tfserve.model_server.grpc.multi_inference import GrpcMultiInference
from tfserve.model_server.grpc.predict import GrpcPredict
from tfserve.model_server.inference.dispatcher import DRAIN_SECONDS, Dispatcher
from tfserve.model_server.status import invalid_argument
from tfserve.protos.apis_pb2 import ClassificationRequest, MultiInferenceRequest, PredictRequest, RegressionRequest
from tfserve.protos.tensors import content_parts, fields_parts

_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,10}\s*")
_MAX_CALLS_OF_A_CONNECTION = 100  # clients wait before they send more
_MOST_DESCRIPTORS = 1 << 20  # if the system sets no limit
_MAX_IDLE_MS = 300_000  # without a call; clients connect again when they need to
_MAX_READ_BYTES = 1 << 17  # of a connection, which gRPC handles even if the connection has been ended meanwhile
_MAX_NEW_CALLS = 600  # that gRPC has received and Python has not begun to handle, which takes some 0.2 s


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
            "grpc.max_concurrent_streams": _MAX_CALLS_OF_A_CONNECTION,
            "grpc.server.max_pending_requests": _MAX_NEW_CALLS - 100,  # then some are refused, as from here
            "grpc.server.max_pending_requests_hard_limit": _MAX_NEW_CALLS,  # all
            "grpc.http2.max_requests_per_read": 1,  # before it is the turn of another connection
            "grpc.experimental.tcp_max_read_chunk_size": _MAX_READ_BYTES,
            "grpc.max_allowed_incoming_connections": _max_connections(),
            "grpc.max_connection_idle_ms": _MAX_IDLE_MS,
            **compression.ARGUMENTS,
            **channel_arguments(options.grpc_channel_arguments),
        }
        self._server = grpc.aio.server(options=list(arguments.items()))
        self._calls = Calls(options.grpc_max_bytes_in_flight)
        for service, methods in _services(dispatcher, self._calls, options).items():
            handler = service_handler(f"tensorflow.serving.{service}", methods, self._calls)
            self._server.add_generic_rpc_handlers((handler,))
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

            health = HealthService(self._calls)
            health.add_to(self._server)
        await self._server.start()
        watching = asyncio.ensure_future(self._calls.watch_headers())
        await stop.wait()
        watching.cancel()
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


def _services(dispatcher: Dispatcher, calls: Calls, options: Options) -> dict[str, dict[str, Method]]:
    """Returns the methods of each service."""
    manager = dispatcher.manager
    to_parts = content_parts if options.enable_serialization_as_tensor_content else fields_parts

    async def metadata(body: bytes, call: Call) -> bytes:
        return get_model_metadata(manager, body)

    infer = Inference(dispatcher, calls, options.grpc_max_fields, options.grpc_max_bytes_in_flight).answer
    inference: dict[str, Answer] = {
        "Predict": infer(PredictRequest, functools.partial(GrpcPredict, to_parts=to_parts)),
        "Classify": infer(ClassificationRequest, GrpcClassify),
        "Regress": infer(RegressionRequest, GrpcRegress),
        "MultiInference": infer(MultiInferenceRequest, GrpcMultiInference),
    }
    return {
        "PredictionService": {
            **{name: Method(answer, options.grpc_max_message_bytes) for name, answer in inference.items()},
            "GetModelMetadata": Method(metadata, MAX_SHORT_BYTES),
        },
        "ModelService": model_service(manager, options.config_reload_socket_path),
    }


def _max_connections() -> int:
    """Returns how many connections gRPC may accept: half of what the process may open, as the REST API needs some."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (limit if 0 < limit < _MOST_DESCRIPTORS else _MOST_DESCRIPTORS) // 2


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

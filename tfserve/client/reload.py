"""A client of TensorFlow Serving's gRPC ModelService: applies a new configuration to a running server.

Source: ``tensorflow_serving/apis/model_service.proto``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tfserve.defaults import INSTALL_LOCAL
from tfserve.errors import RequestError, UsageError

if TYPE_CHECKING:
    from tfserve.protos.model_config_pb2 import ModelServerConfig

__all__ = ["reload_config"]

_METHOD = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
_WATCH_SECONDS = 0.2


def reload_config(
    address: str | Path, config: ModelServerConfig, *, timeout: float, watch: Callable[[], None] = lambda: None
) -> None:
    """Makes the server at `address` serve the models in `config`, and returns when new models are AVAILABLE.

    Args:
        address: the address of its gRPC API: ``host:port``, with ``https://`` in front for TLS; or the UNIX socket on
            which it takes reloads.
        config: all models to serve from now on.
        timeout: the maximum duration, in seconds.
        watch: called several times per second while waiting; an exception that it raises ends the wait.

    Raises:
        RequestError: the server refused the configuration, or a new model cannot be loaded in time.
        UsageError: gRPC is not installed.
    """
    try:
        import grpc
    except ImportError:
        raise UsageError(
            "The models of a running server are changed over gRPC, which is not installed.",
            hint=f"Install it: {INSTALL_LOCAL}",
        ) from None
    from tfserve.client.grpc_channel import call_failure, open_channel, open_socket, socket_url
    from tfserve.client.rest import base_url
    from tfserve.protos.apis_pb2 import ReloadConfigRequest, ReloadConfigResponse

    if isinstance(address, Path):
        url, opened = socket_url(address), open_socket(address)
    else:
        url = base_url(address)
        opened = open_channel(url)
    with opened as channel:
        call = channel.unary_unary(
            _METHOD,
            request_serializer=ReloadConfigRequest.SerializeToString,
            response_deserializer=ReloadConfigResponse.FromString,
        )
        response = call.future(ReloadConfigRequest(config=config), timeout=timeout)
        while True:
            try:
                status = response.result(timeout=_WATCH_SECONDS).status
                break
            except grpc.FutureTimeoutError:
                watch()
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.UNAVAILABLE:
                    raise call_failure(error, url, timeout) from None
                raise _refused(error.code().name, error.details()) from None
    if status.error_code:
        raise _refused(f"code {status.error_code}", status.error_message)


def _refused(code: str, message: str) -> RequestError:
    return RequestError(
        f"The server did not apply the new configuration ({code}): {message.rstrip('.')}.",
        hint="The models it served before are unaffected.",
    )

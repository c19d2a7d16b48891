"""The gRPC ModelService of TensorFlow Serving, from the client's side: puts another configuration in force.

Source: ``tensorflow_serving/apis/model_service.proto``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tfserve.errors import RequestError, UsageError

if TYPE_CHECKING:
    from tfserve.protos.model_config_pb2 import ModelServerConfig

__all__ = ["reload_config"]

_METHOD = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
_LOOK_SECONDS = 0.2


def reload_config(
    address: str, config: ModelServerConfig, *, timeout: float, watch: Callable[[], None] = lambda: None
) -> None:
    """Has the server at `address` serve what `config` says, and returns when new models can be asked.

    Args:
        address: where its gRPC API is: ``host:port``; behind ``https://`` it is asked over TLS.
        config: every model to serve from now on.
        timeout: how long that may take, in seconds.
        watch: called now and then while it takes; what it raises ends the waiting.

    Raises:
        RequestError: the server refused it, or a new model cannot be loaded, or takes longer.
        UsageError: gRPC is not installed.
    """
    try:
        import grpc
    except ImportError:
        raise UsageError(
            "A running server is told of other models by gRPC, which is not installed.",
            hint="Install it: pip install grpcio",
        ) from None
    from tfserve.client.grpc_channel import call_failure, open_channel
    from tfserve.client.rest import base_url
    from tfserve.protos.apis_pb2 import ReloadConfigRequest, ReloadConfigResponse

    url = base_url(address)
    with open_channel(url) as channel:
        call = channel.unary_unary(
            _METHOD,
            request_serializer=ReloadConfigRequest.SerializeToString,
            response_deserializer=ReloadConfigResponse.FromString,
        )
        answer = call.future(ReloadConfigRequest(config=config), timeout=timeout)
        while True:
            try:
                status = answer.result(timeout=_LOOK_SECONDS).status
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
        f"The server did not take the models over ({code}): {message.rstrip('.')}.",
        hint="What it served before it still serves.",
    )

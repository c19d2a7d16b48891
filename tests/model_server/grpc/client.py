"""A gRPC client of a model server, with tfserve's own messages."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import grpc
from google.protobuf.message import Message

from tests.model_server.server_process import PATIENCE
from tfserve.protos import apis_pb2
from tfserve.protos.apis_pb2 import PredictRequest, PredictResponse

_M = TypeVar("_M", bound=Message)


class Failure(NamedTuple):
    """The status of a call that failed."""

    code: str
    message: str


class Client:
    """Calls a server over one channel."""

    def __init__(self, target: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        options = [("grpc.max_receive_message_length", -1), ("grpc.enable_retries", 0)]
        self.channel = (
            grpc.insecure_channel(target, options)
            if credentials is None
            else grpc.secure_channel(target, credentials, options)
        )

    def call(self, method: str, request: Message | bytes, response: type[_M], timeout: float | None = PATIENCE) -> _M:
        """Calls ``Service/Method``; raises the errors of gRPC."""
        body = request if isinstance(request, bytes) else request.SerializeToString()
        return response.FromString(self.channel.unary_unary(f"/tensorflow.serving.{method}")(body, timeout=timeout))

    def failure(self, method: str, request: Message | bytes, timeout: float | None = PATIENCE) -> Failure:
        """Calls a method that must fail; returns the status."""
        try:
            response = self.call(method, request, apis_pb2.PredictResponse, timeout)
        except grpc.RpcError as error:
            return Failure(error.code().name, error.details())
        raise AssertionError(f"answered with {response}")

    def predict(self, request: PredictRequest, timeout: float | None = PATIENCE) -> PredictResponse:
        return self.call("PredictionService/Predict", request, PredictResponse, timeout)

    def predict_failure(self, request: PredictRequest | bytes, timeout: float | None = PATIENCE) -> Failure:
        return self.failure("PredictionService/Predict", request, timeout)


def predict_request(model: str, signature: str = "", outputs: tuple[str, ...] = (), **inputs: Any) -> PredictRequest:
    """Returns a request; each input is a ``TensorProto``."""
    request = PredictRequest(output_filter=outputs)
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for alias, tensor in inputs.items():
        request.inputs[alias].CopyFrom(tensor)
    return request

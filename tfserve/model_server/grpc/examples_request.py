"""What the gRPC requests of one signature on examples have in common: Classify and Regress."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from tfserve.model_server.grpc.messages import asked_model, fill_model_spec, model_spec, read_message
from tfserve.model_server.inference.examples import examples_call, find_signature, serialized_examples
from tfserve.model_server.inference.request import Call, InferenceRequest, Outputs
from tfserve.model_server.runtime.servable import Servable, Signature
from tfserve.protos.apis_pb2 import (
    ClassificationRequest,
    ClassificationResponse,
    RegressionRequest,
    RegressionResponse,
)

_ResponseT = TypeVar("_ResponseT", ClassificationResponse, RegressionResponse)


class GrpcExamplesRequest(InferenceRequest, Generic[_ResponseT]):
    """A request of one signature on examples.

    Args:
        body: the serialized message.
        timeout_ms: longest time of a run, in milliseconds; 0 for no limit.

    Attributes:
        request_type: the message it is read as.
        response_type: the message that answers it.

    Raises:
        StatusError: INTERNAL, it is no such message; INVALID_ARGUMENT, it does not say which model.
    """

    __slots__ = ("_count", "_message", "model", "size", "timeout_ms")

    entrypoint = "GRPC"
    request_type: ClassVar[type[ClassificationRequest | RegressionRequest]]
    response_type: type[_ResponseT]

    def __init__(self, body: bytes, timeout_ms: int) -> None:
        self._message = read_message(self.request_type, body)
        self.model = asked_model(model_spec(self._message))
        self.size = len(body)
        self.timeout_ms = timeout_ms

    def prepare(self, servable: Servable) -> Sequence[Call]:
        """Fits the examples to the signature."""
        name = self._message.model_spec.signature_name
        signature = find_signature(servable, name)
        outputs = self.outputs_of(signature, servable.checks_methods)
        examples = serialized_examples(self._message.input)
        self._count = len(examples)
        return (examples_call(name, signature, examples, outputs),)

    def finish(self, servable: Servable, results: Sequence[Outputs]) -> bytes:
        """Returns a serialized response."""
        spec = self._message.model_spec
        response = self.response_type()
        fill_model_spec(response.model_spec, spec, servable)
        self.fill(response, find_signature(servable, spec.signature_name), results[0], self._count)
        return response.SerializeToString()

    @staticmethod
    @abstractmethod
    def outputs_of(signature: Signature, check_method: bool) -> tuple[str, ...]:
        """Returns the outputs that answer, of a signature that can; see `classification_outputs`."""

    @staticmethod
    @abstractmethod
    def fill(response: _ResponseT, signature: Signature, outputs: Outputs, examples: int) -> None:
        """Puts what a run says about so many examples into a response; see `read_classifications`."""

"""The gRPC requests that run one signature on examples: Classify and Regress."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from tfserve.model_server.grpc.messages import fill_model_spec, model_spec, read_message, requested_model
from tfserve.model_server.inference.classification import (
    Classifications,
    classification_outputs,
    read_classifications,
)
from tfserve.model_server.inference.examples import context_bytes, examples_call, find_signature, serialized_examples
from tfserve.model_server.inference.regression import read_regressions, regression_outputs
from tfserve.model_server.inference.request import Call, InferenceRequest, Outputs
from tfserve.model_server.runtime.servable import Servable, Signature
from tfserve.protos.apis_pb2 import (
    ClassificationRequest,
    ClassificationResponse,
    ClassificationResult,
    RegressionRequest,
    RegressionResponse,
    RegressionResult,
)
from tfserve.protos.dtypes import Array

_ResponseT = TypeVar("_ResponseT", ClassificationResponse, RegressionResponse)


class GrpcExamplesRequest(InferenceRequest, Generic[_ResponseT]):
    """A request that runs one signature on examples.

    Args:
        body: the serialized message.
        timeout_ms: longest time of a run, in milliseconds; 0 for no limit.

    Attributes:
        request_type: the type of the message in `body`.
        response_type: the type of the message in the response.

    Raises:
        StatusError: INTERNAL, `body` is not such a message; INVALID_ARGUMENT, it does not name a model.
    """

    __slots__ = ("_count", "_message", "model", "size", "timeout_ms")

    entrypoint = "GRPC"
    request_type: ClassVar[type[ClassificationRequest | RegressionRequest]]
    response_type: type[_ResponseT]

    def __init__(self, body: bytes, timeout_ms: int) -> None:
        self._message = read_message(self.request_type, body)
        self.model = requested_model(model_spec(self._message))
        self.size = len(body) + context_bytes(self._message.input)
        self.timeout_ms = timeout_ms

    def prepare(self, servable: Servable) -> Sequence[Call]:
        name = self._message.model_spec.signature_name
        signature = find_signature(servable, name)
        outputs = self.outputs_of(signature, servable.checks_methods)
        examples = serialized_examples(self._message.input)
        self._count = len(examples)
        return (examples_call(name, signature, examples, outputs),)

    def release(self) -> None:
        message = self.request_type()
        message.model_spec.CopyFrom(self._message.model_spec)
        self._message = message

    def finish(self, servable: Servable, results: Sequence[Outputs]) -> bytes:
        spec = self._message.model_spec
        response = self.response_type()
        fill_model_spec(response.model_spec, spec, servable)
        self.fill(response, find_signature(servable, spec.signature_name), results[0], self._count)
        return response.SerializeToString()

    @staticmethod
    @abstractmethod
    def outputs_of(signature: Signature, check_method: bool) -> tuple[str, ...]:
        """Returns the outputs that the response needs; see `classification_outputs` and `regression_outputs`."""

    @staticmethod
    @abstractmethod
    def fill(response: _ResponseT, signature: Signature, outputs: Outputs, examples: int) -> None:
        """Writes the outputs of a run on `examples` examples into a response."""


class GrpcClassify(GrpcExamplesRequest[ClassificationResponse]):
    """A ``ClassificationRequest``."""

    __slots__ = ()

    api = "Classify"
    request_type = ClassificationRequest
    response_type = ClassificationResponse
    outputs_of = staticmethod(classification_outputs)

    @staticmethod
    def fill(response: ClassificationResponse, signature: Signature, outputs: Outputs, examples: int) -> None:
        fill_classifications(response.result, read_classifications(signature, outputs, examples))


class GrpcRegress(GrpcExamplesRequest[RegressionResponse]):
    """A ``RegressionRequest``."""

    __slots__ = ()

    api = "Regress"
    request_type = RegressionRequest
    response_type = RegressionResponse
    outputs_of = staticmethod(regression_outputs)

    @staticmethod
    def fill(response: RegressionResponse, signature: Signature, outputs: Outputs, examples: int) -> None:
        fill_regressions(response.result, read_regressions(signature, outputs, examples))


def fill_classifications(result: ClassificationResult, classifications: Classifications) -> None:
    """Writes the classes of each example into a message; invalid UTF-8 in a label becomes U+FFFD."""
    result.SetInParent()
    labels, scores = classifications
    for label_row, score_row in zip(labels.tolist(), scores.tolist(), strict=True):
        classes = result.classifications.add().classes
        for label, score in zip(label_row, score_row, strict=True):
            classes.add(label=label.decode(errors="replace"), score=score)


def fill_regressions(result: RegressionResult, values: Array) -> None:
    """Writes the value of each example into a message."""
    result.SetInParent()
    for value in values.tolist():
        result.regressions.add().value = value

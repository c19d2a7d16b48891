"""A gRPC Regress request."""

from __future__ import annotations

from collections.abc import Sequence

from tfserve.model_server.grpc.model_spec import asked_model, fill_model_spec
from tfserve.model_server.grpc.request import read_message
from tfserve.model_server.inference.examples import examples_call, find_signature, serialized_examples
from tfserve.model_server.inference.regression import read_regressions, regression_outputs
from tfserve.model_server.inference.request import Call, InferenceRequest, Outputs
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.status import invalid_argument
from tfserve.protos.apis_pb2 import RegressionRequest, RegressionResponse, RegressionResult
from tfserve.protos.dtypes import Array


class GrpcRegress(InferenceRequest):
    """A ``RegressionRequest``.

    Args:
        body: the serialized message.
        timeout_ms: longest time of a run, in milliseconds; 0 for no limit.

    Raises:
        StatusError: INTERNAL, it is no such message; INVALID_ARGUMENT, it does not say which model.
    """

    __slots__ = ("_count", "_message", "model", "size", "timeout_ms")

    api = "Regress"
    entrypoint = "GRPC"

    def __init__(self, body: bytes, timeout_ms: int) -> None:
        self._message = read_message(RegressionRequest, body)
        if not self._message.HasField("model_spec"):
            raise invalid_argument("Missing ModelSpec")
        self.model = asked_model(self._message.model_spec)
        self.size = len(body)
        self.timeout_ms = timeout_ms

    def prepare(self, servable: Servable) -> Sequence[Call]:
        """Fits the examples to the signature."""
        name = self._message.model_spec.signature_name
        signature = find_signature(servable, name)
        outputs = regression_outputs(signature, servable.checks_methods)
        examples = serialized_examples(self._message.input)
        self._count = len(examples)
        return (examples_call(name, signature, examples, outputs),)

    def finish(self, servable: Servable, results: Sequence[Outputs]) -> bytes:
        """Returns a serialized ``RegressionResponse``."""
        spec = self._message.model_spec
        response = RegressionResponse()
        fill_model_spec(response.model_spec, spec, servable)
        signature = find_signature(servable, spec.signature_name)
        fill_regressions(response.result, read_regressions(signature, results[0], self._count))
        return response.SerializeToString()


def fill_regressions(result: RegressionResult, values: Array) -> None:
    """Puts the value of each example into a message."""
    result.SetInParent()
    for value in values.tolist():
        result.regressions.add().value = value

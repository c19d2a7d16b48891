"""A gRPC Classify request."""

from __future__ import annotations

from collections.abc import Sequence

from tfserve.model_server.grpc.messages import asked_model, fill_model_spec, model_spec, read_message
from tfserve.model_server.inference.classification import (
    Classifications,
    classification_outputs,
    read_classifications,
)
from tfserve.model_server.inference.examples import examples_call, find_signature, serialized_examples
from tfserve.model_server.inference.request import Call, InferenceRequest, Outputs
from tfserve.model_server.runtime.servable import Servable
from tfserve.protos.apis_pb2 import ClassificationRequest, ClassificationResponse, ClassificationResult


class GrpcClassify(InferenceRequest):
    """A ``ClassificationRequest``.

    Args:
        body: the serialized message.
        timeout_ms: longest time of a run, in milliseconds; 0 for no limit.

    Raises:
        StatusError: INTERNAL, it is no such message; INVALID_ARGUMENT, it does not say which model.
    """

    __slots__ = ("_count", "_message", "model", "size", "timeout_ms")

    api = "Classify"
    entrypoint = "GRPC"

    def __init__(self, body: bytes, timeout_ms: int) -> None:
        self._message = read_message(ClassificationRequest, body)
        self.model = asked_model(model_spec(self._message))
        self.size = len(body)
        self.timeout_ms = timeout_ms

    def prepare(self, servable: Servable) -> Sequence[Call]:
        """Fits the examples to the signature."""
        name = self._message.model_spec.signature_name
        signature = find_signature(servable, name)
        outputs = classification_outputs(signature, servable.checks_methods)
        examples = serialized_examples(self._message.input)
        self._count = len(examples)
        return (examples_call(name, signature, examples, outputs),)

    def finish(self, servable: Servable, results: Sequence[Outputs]) -> bytes:
        """Returns a serialized ``ClassificationResponse``."""
        spec = self._message.model_spec
        response = ClassificationResponse()
        fill_model_spec(response.model_spec, spec, servable)
        signature = find_signature(servable, spec.signature_name)
        fill_classifications(response.result, read_classifications(signature, results[0], self._count))
        return response.SerializeToString()


def fill_classifications(result: ClassificationResult, classifications: Classifications) -> None:
    """Puts the classes of each example into a message; a label that is not UTF-8 gets U+FFFD for what is broken."""
    result.SetInParent()
    labels, scores = classifications
    for label_row, score_row in zip(labels.tolist(), scores.tolist(), strict=True):
        classes = result.classifications.add().classes
        for label, score in zip(label_row, score_row, strict=True):
            classes.add(label=label.decode(errors="replace"), score=score)

"""A gRPC Classify request."""

from __future__ import annotations

from tfserve.model_server.grpc.examples_request import GrpcExamplesRequest
from tfserve.model_server.inference.classification import (
    Classifications,
    classification_outputs,
    read_classifications,
)
from tfserve.model_server.inference.request import Outputs
from tfserve.model_server.runtime.servable import Signature
from tfserve.protos.apis_pb2 import ClassificationRequest, ClassificationResponse, ClassificationResult


class GrpcClassify(GrpcExamplesRequest[ClassificationResponse]):
    """A ``ClassificationRequest``."""

    __slots__ = ()

    api = "Classify"
    request_type = ClassificationRequest
    response_type = ClassificationResponse
    outputs_of = staticmethod(classification_outputs)

    @staticmethod
    def fill(response: ClassificationResponse, signature: Signature, outputs: Outputs, examples: int) -> None:
        """Puts the classes of each example into a response."""
        fill_classifications(response.result, read_classifications(signature, outputs, examples))


def fill_classifications(result: ClassificationResult, classifications: Classifications) -> None:
    """Puts the classes of each example into a message; a label that is not UTF-8 gets U+FFFD for what is broken."""
    result.SetInParent()
    labels, scores = classifications
    for label_row, score_row in zip(labels.tolist(), scores.tolist(), strict=True):
        classes = result.classifications.add().classes
        for label, score in zip(label_row, score_row, strict=True):
            classes.add(label=label.decode(errors="replace"), score=score)

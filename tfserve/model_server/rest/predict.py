"""A REST predict request."""

from __future__ import annotations

from collections.abc import Sequence

from tfserve.model_server.inference.prediction import check_predicts
from tfserve.model_server.inference.request import Call, Outputs
from tfserve.model_server.models.manager import ModelSpec
from tfserve.model_server.rest.json_input import Document, PredictInput, parse_document, parse_predict
from tfserve.model_server.rest.json_output import format_predictions
from tfserve.model_server.rest.request import RestRequest
from tfserve.model_server.runtime.servable import Servable


class RestPredict(RestRequest):
    """The body of a ``:predict``, in row or column format; the response has the same format."""

    __slots__ = ("_document", "_input")

    api = "Predict"

    def __init__(self, model: ModelSpec, body: bytes, timeout_ms: int) -> None:
        super().__init__(model, body, timeout_ms)
        self._document: Document | None = None
        self._input: PredictInput

    def prepare(self, servable: Servable) -> Sequence[Call]:
        """Reads the body, and fits it to the signature that it names."""
        if self._document is None:
            self._document = parse_document(self._body)
        self._input = parse_predict(self._document, servable.inputs)
        if servable.checks_methods:
            check_predicts(servable.signature(self._input.signature))
        return (Call(self._input.signature, self._input.arrays),)

    def finish(self, servable: Servable, results: Sequence[Outputs]) -> bytes:
        """Returns the outputs as JSON."""
        return format_predictions(results[0], self._input.row_format)

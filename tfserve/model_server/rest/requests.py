"""The inference requests of the REST API: JSON bodies that become runs of a model, and the JSON that answers them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from tfserve.model_server.inference.classification import classification_outputs, read_classifications
from tfserve.model_server.inference.examples import examples_call, find_signature
from tfserve.model_server.inference.prediction import check_predicts
from tfserve.model_server.inference.regression import read_regressions, regression_outputs
from tfserve.model_server.inference.request import Call, InferenceRequest, Outputs
from tfserve.model_server.models.manager import ModelSpec
from tfserve.model_server.rest.json_examples import ExamplesInput, parse_examples
from tfserve.model_server.rest.json_input import Document, PredictInput, parse_document, parse_predict
from tfserve.model_server.rest.json_output import format_classifications, format_predictions, format_regressions
from tfserve.model_server.runtime.servable import Servable, Signature


class RestRequest(InferenceRequest):
    """A request with a body.

    Args:
        model: the model that the path of the request names.
        body: JSON.
        timeout_ms: longest time of a run, in milliseconds; 0 for no limit.
    """

    __slots__ = ("_body", "model", "size", "timeout_ms")

    entrypoint = "REST"

    def __init__(self, model: ModelSpec, body: bytes, timeout_ms: int) -> None:
        self.model = model
        self.size = len(body)
        self.timeout_ms = timeout_ms
        self._body = body


class RestPredict(RestRequest):
    """The body of a ``:predict``, in row or column format; the response has the same format."""

    __slots__ = ("_document", "_input")

    api = "Predict"

    def __init__(self, model: ModelSpec, body: bytes, timeout_ms: int) -> None:
        super().__init__(model, body, timeout_ms)
        self._document: Document | None = None
        self._input: PredictInput

    def prepare(self, servable: Servable) -> Sequence[Call]:
        if self._document is None:
            self._document = parse_document(self._body)
        self._input = parse_predict(self._document, servable.inputs)
        if servable.checks_methods:
            check_predicts(servable.signature(self._input.signature))
        return (Call(self._input.signature, self._input.arrays),)

    def finish(self, servable: Servable, results: Sequence[Outputs]) -> bytes:
        return format_predictions(results[0], self._input.row_format)


class RestExamplesRequest(RestRequest):
    """A body with examples for one signature: what ``:classify`` and ``:regress`` have in common."""

    __slots__ = ("_input",)

    def __init__(self, model: ModelSpec, body: bytes, timeout_ms: int) -> None:
        super().__init__(model, body, timeout_ms)
        self._input: ExamplesInput | None = None

    def prepare(self, servable: Servable) -> Sequence[Call]:
        parsed = self._input = self._input or parse_examples(self._body)
        signature = find_signature(servable, parsed.signature)
        outputs = self.outputs_of(signature, servable.checks_methods)
        return (examples_call(parsed.signature, signature, parsed.examples, outputs),)

    def finish(self, servable: Servable, results: Sequence[Outputs]) -> bytes:
        assert self._input is not None  # noqa: S101, for the types: `prepare` has parsed it
        signature = find_signature(servable, self._input.signature)
        return self.format(signature, results[0], len(self._input.examples))

    @staticmethod
    @abstractmethod
    def outputs_of(signature: Signature, check_method: bool) -> tuple[str, ...]:
        """Returns the outputs that the response needs; see `classification_outputs` and `regression_outputs`."""

    @staticmethod
    @abstractmethod
    def format(signature: Signature, outputs: Outputs, examples: int) -> bytes:
        """Returns the outputs of a run on `examples` examples as JSON."""


class RestClassify(RestExamplesRequest):
    """The body of a ``:classify``."""

    __slots__ = ()

    api = "Classify"
    outputs_of = staticmethod(classification_outputs)

    @staticmethod
    def format(signature: Signature, outputs: Outputs, examples: int) -> bytes:
        return format_classifications(read_classifications(signature, outputs, examples))


class RestRegress(RestExamplesRequest):
    """The body of a ``:regress``."""

    __slots__ = ()

    api = "Regress"
    outputs_of = staticmethod(regression_outputs)

    @staticmethod
    def format(signature: Signature, outputs: Outputs, examples: int) -> bytes:
        return format_regressions(read_regressions(signature, outputs, examples))

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
from tfserve.model_server.rest.bodies import LargeBody
from tfserve.model_server.rest.json_examples import ExamplesInput, parse_examples
from tfserve.model_server.rest.json_input import Document, PredictInput, parse_document, parse_predict
from tfserve.model_server.rest.json_output import format_classifications, format_predictions, format_regressions
from tfserve.model_server.rest.parsed_body import ParsedPredict
from tfserve.model_server.runtime.servable import Servable, Signature
from tfserve.model_server.status import Code, StatusError


class RestRequest(InferenceRequest):
    """A request with a body.

    Args:
        model: the model that the path of the request names.
        body: JSON.
        timeout_ms: longest time of a run, in milliseconds; 0 for no limit.
    """

    __slots__ = ("_body", "_parsed", "model", "size", "timeout_ms")

    entrypoint = "REST"
    kind: str

    def __init__(self, model: ModelSpec, body: bytes | LargeBody, timeout_ms: int) -> None:
        self.model = model
        self.size = len(body) if isinstance(body, bytes) else body.size
        self.timeout_ms = timeout_ms
        self._body = body
        self._parsed: ParsedPredict | ExamplesInput | StatusError | None = None

    async def parse(self, servable: Servable) -> None:
        if isinstance(self._body, LargeBody):
            signatures = {name: dict(signature.inputs) for name, signature in servable.signatures.items()}
            self._parsed = await self._body.parse(self.kind, signatures)

    def _parsed_elsewhere(self) -> ParsedPredict | ExamplesInput | None:
        """Returns what a parser process made of the body, or None if it has not been given to one."""
        if isinstance(self._parsed, StatusError):
            raise self._parsed
        return self._parsed


class RestPredict(RestRequest):
    """The body of a ``:predict``, in row or column format; the response has the same format."""

    __slots__ = ("_document", "_input")

    api = "Predict"
    kind = "predict"

    def __init__(self, model: ModelSpec, body: bytes | LargeBody, timeout_ms: int) -> None:
        super().__init__(model, body, timeout_ms)
        self._document: Document | None = None
        self._input: PredictInput

    def prepare(self, servable: Servable) -> Sequence[Call]:
        parsed = self._parsed_elsewhere()
        if isinstance(parsed, ParsedPredict):
            self._input = parsed.request
            if servable.inputs(self._input.signature) != parsed.dtypes:
                raise StatusError(Code.UNAVAILABLE, "The model was replaced while the request was being parsed")
        else:
            assert isinstance(self._body, bytes)  # noqa: S101, for the types: `parse` has been called for all others
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

    kind = "examples"

    def __init__(self, model: ModelSpec, body: bytes | LargeBody, timeout_ms: int) -> None:
        super().__init__(model, body, timeout_ms)
        self._input: ExamplesInput | None = None

    def prepare(self, servable: Servable) -> Sequence[Call]:
        parsed = self._input or self._parsed_elsewhere()
        if not isinstance(parsed, ExamplesInput):
            assert isinstance(self._body, bytes)  # noqa: S101, for the types: `parse` has been called for all others
            parsed = parse_examples(self._body)
        self._input = parsed
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

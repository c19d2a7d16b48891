"""A REST regress request."""

from __future__ import annotations

from collections.abc import Sequence

from tfserve.model_server.inference.examples import examples_call, find_signature
from tfserve.model_server.inference.regression import read_regressions, regression_outputs
from tfserve.model_server.inference.request import Call, Outputs
from tfserve.model_server.models.manager import ModelSpec
from tfserve.model_server.rest.json_examples import ExamplesInput, parse_examples
from tfserve.model_server.rest.json_output import format_regressions
from tfserve.model_server.rest.request import RestRequest
from tfserve.model_server.runtime.servable import Servable


class RestRegress(RestRequest):
    """The body of a ``:regress``."""

    __slots__ = ("_input",)

    api = "Regress"

    def __init__(self, model: ModelSpec, body: bytes, timeout_ms: int) -> None:
        super().__init__(model, body, timeout_ms)
        self._input: ExamplesInput | None = None

    def prepare(self, servable: Servable) -> Sequence[Call]:
        """Reads the body, and fits it to the signature that it names."""
        asked = self._input = self._input or parse_examples(self._body)
        signature = find_signature(servable, asked.signature)
        outputs = regression_outputs(signature, servable.checks_methods)
        return (examples_call(asked.signature, signature, asked.examples, outputs),)

    def finish(self, servable: Servable, results: Sequence[Outputs]) -> bytes:
        """Returns the value of each example as JSON."""
        assert self._input is not None  # noqa: S101, for the types: `prepare` read it
        signature = find_signature(servable, self._input.signature)
        return format_regressions(read_regressions(signature, results[0], len(self._input.examples)))

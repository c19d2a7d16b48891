"""What the REST requests of one signature on examples have in common: ``:classify`` and ``:regress``."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from tfserve.model_server.inference.examples import examples_call, find_signature
from tfserve.model_server.inference.request import Call, Outputs
from tfserve.model_server.models.manager import ModelSpec
from tfserve.model_server.rest.json_examples import ExamplesInput, parse_examples
from tfserve.model_server.rest.request import RestRequest
from tfserve.model_server.runtime.servable import Servable, Signature


class RestExamplesRequest(RestRequest):
    """A body with examples for one signature."""

    __slots__ = ("_input",)

    def __init__(self, model: ModelSpec, body: bytes, timeout_ms: int) -> None:
        super().__init__(model, body, timeout_ms)
        self._input: ExamplesInput | None = None

    def prepare(self, servable: Servable) -> Sequence[Call]:
        """Reads the body, and fits it to the signature that it names."""
        asked = self._input = self._input or parse_examples(self._body)
        signature = find_signature(servable, asked.signature)
        outputs = self.outputs_of(signature, servable.checks_methods)
        return (examples_call(asked.signature, signature, asked.examples, outputs),)

    def finish(self, servable: Servable, results: Sequence[Outputs]) -> bytes:
        """Returns what the model says of each example as JSON."""
        assert self._input is not None  # noqa: S101, for the types: `prepare` read it
        signature = find_signature(servable, self._input.signature)
        return self.format(signature, results[0], len(self._input.examples))

    @staticmethod
    @abstractmethod
    def outputs_of(signature: Signature, check_method: bool) -> tuple[str, ...]:
        """Returns the outputs that answer, of a signature that can; see `classification_outputs`."""

    @staticmethod
    @abstractmethod
    def format(signature: Signature, outputs: Outputs, examples: int) -> bytes:
        """Returns what a run says about so many examples as JSON; see `read_classifications`."""

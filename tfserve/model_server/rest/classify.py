"""A REST classify request."""

from __future__ import annotations

from tfserve.model_server.inference.classification import classification_outputs, read_classifications
from tfserve.model_server.inference.request import Outputs
from tfserve.model_server.rest.examples_request import RestExamplesRequest
from tfserve.model_server.rest.json_output import format_classifications
from tfserve.model_server.runtime.servable import Signature


class RestClassify(RestExamplesRequest):
    """The body of a ``:classify``."""

    __slots__ = ()

    api = "Classify"
    outputs_of = staticmethod(classification_outputs)

    @staticmethod
    def format(signature: Signature, outputs: Outputs, examples: int) -> bytes:
        """Returns the classes of each example as JSON."""
        return format_classifications(read_classifications(signature, outputs, examples))

"""A REST regress request."""

from __future__ import annotations

from tfserve.model_server.inference.regression import read_regressions, regression_outputs
from tfserve.model_server.inference.request import Outputs
from tfserve.model_server.rest.examples_request import RestExamplesRequest
from tfserve.model_server.rest.json_output import format_regressions
from tfserve.model_server.runtime.servable import Signature


class RestRegress(RestExamplesRequest):
    """The body of a ``:regress``."""

    __slots__ = ()

    api = "Regress"
    outputs_of = staticmethod(regression_outputs)

    @staticmethod
    def format(signature: Signature, outputs: Outputs, examples: int) -> bytes:
        """Returns the value of each example as JSON."""
        return format_regressions(read_regressions(signature, outputs, examples))

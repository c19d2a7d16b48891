"""A gRPC Regress request."""

from __future__ import annotations

from tfserve.model_server.grpc.examples_request import GrpcExamplesRequest
from tfserve.model_server.inference.regression import read_regressions, regression_outputs
from tfserve.model_server.inference.request import Outputs
from tfserve.model_server.runtime.servable import Signature
from tfserve.protos.apis_pb2 import RegressionRequest, RegressionResponse, RegressionResult
from tfserve.protos.dtypes import Array


class GrpcRegress(GrpcExamplesRequest[RegressionResponse]):
    """A ``RegressionRequest``."""

    __slots__ = ()

    api = "Regress"
    request_type = RegressionRequest
    response_type = RegressionResponse
    outputs_of = staticmethod(regression_outputs)

    @staticmethod
    def fill(response: RegressionResponse, signature: Signature, outputs: Outputs, examples: int) -> None:
        """Puts the value of each example into a response."""
        fill_regressions(response.result, read_regressions(signature, outputs, examples))


def fill_regressions(result: RegressionResult, values: Array) -> None:
    """Puts the value of each example into a message."""
    result.SetInParent()
    for value in values.tolist():
        result.regressions.add().value = value

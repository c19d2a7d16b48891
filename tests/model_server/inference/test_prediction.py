from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tfserve.model_server.grpc.predict import GrpcPredict
from tfserve.model_server.inference.prediction import check_predicts
from tfserve.model_server.inference.request import InferenceRequest
from tfserve.model_server.models.manager import ModelSpec
from tfserve.model_server.rest.requests import RestPredict
from tfserve.model_server.runtime.loading import load_servable
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.apis_pb2 import PredictRequest
from tfserve.protos.saved_model_pb2 import DT_STRING, TensorProto

PROBLEM = (
    "Expected prediction signature method_name to be one of {tensorflow/serving/predict, tensorflow/serving/classify, "
    "tensorflow/serving/regress}. Was: other"
)


@pytest.fixture(scope="module")
def checked(models: Path) -> Iterator[Servable]:
    """The model ``examples``, loaded so that the method names of signatures are checked."""
    servable = load_servable("examples", 1, models / "examples" / "1", LoadOptions(check_methods=True))
    yield servable
    servable.close()


def rest(signature: str) -> InferenceRequest:
    body = {"signature_name": signature, "instances": [{"b64": ""}]}
    return RestPredict(ModelSpec("examples"), json.dumps(body).encode(), 0)


def grpc(signature: str) -> InferenceRequest:
    request = PredictRequest()
    request.model_spec.name = "examples"
    request.model_spec.signature_name = signature
    tensor = TensorProto(dtype=DT_STRING, string_val=[b""], tensor_shape={"dim": [{"size": 1}]})
    request.inputs["inputs"].CopyFrom(tensor)
    return GrpcPredict(request.SerializeToString(), 0)


def test_methods_that_predict(zoo: Servable, examples: Servable) -> None:
    for signature in (zoo.signature(""), examples.signature(""), examples.signature("regress")):
        check_predicts(signature)
    with pytest.raises(StatusError) as caught:
        check_predicts(examples.signature("other_method"))
    assert (caught.value.code, caught.value.message) == (Code.INTERNAL, PROBLEM)


@pytest.mark.parametrize("request_of", [rest, grpc])
def test_methods_are_checked_if_enabled(
    request_of: Callable[[str], InferenceRequest], examples: Servable, checked: Servable
) -> None:
    for signature in ("", "regress", "other_method"):
        assert len(request_of(signature).prepare(examples)) == 1
    for signature in ("", "regress"):
        assert len(request_of(signature).prepare(checked)) == 1
    with pytest.raises(StatusError, match="Was: other"):
        request_of("other_method").prepare(checked)

from __future__ import annotations

import pytest

from tfserve.client.example_requests import build_examples
from tfserve.client.failures import NotListeningError, RefusedError, timed_out
from tfserve.client.inference import infer, response_table
from tfserve.client.messages import InferenceRequest, InferenceResponse
from tfserve.client.model_ref import ModelRef
from tfserve.client.predict_request import read_request
from tfserve.client.rest import RestClient
from tfserve.errors import RequestError
from tfserve.models.saved_model import Signature, TensorSpec

from .fake_connection import FakeConnection

X = TensorSpec("DT_FLOAT", (-1,))
KNOWN = {"serving_default": Signature("tensorflow/serving/predict", {"x": X}, {"y": X})}
MODEL = ModelRef("m")


def raised(connection: FakeConnection, request: InferenceRequest) -> RequestError:
    with pytest.raises(RequestError) as caught:
        infer(connection, MODEL, request)
    return caught.value


def test_refusal_of_a_real_server_is_shown_with_the_inputs(server_url: str) -> None:
    request = read_request('{"instances": [[1.0], [2.0, 3.0]]}')
    with RestClient(server_url) as client, pytest.raises(RefusedError) as caught:
        infer(client, ModelRef("half_plus_two"), request)
    assert caught.value.message.startswith("The server refused the request: ")
    assert (caught.value.details or "").startswith("x  DT_FLOAT  ")
    assert "tfserve predict NAME" in (caught.value.hint or "")
    assert (caught.value.status, caught.value.exit_code) == (400, 8)


def test_signature_is_read_only_if_it_is_unknown() -> None:
    refused = RefusedError("no", status=400, reason=None)
    unreachable = FakeConnection(RequestError("unreachable"), refused)
    assert raised(unreachable, read_request("{}")) is refused
    known = InferenceRequest("predict", b"{}", "serving_default", KNOWN["serving_default"])
    assert "x  DT_FLOAT" in (raised(unreachable, known).details or "")
    other = read_request('{"signature_name": "other"}')
    assert raised(FakeConnection(KNOWN, refused), other) is refused


@pytest.mark.parametrize(
    ("reason", "features", "hint"),
    [
        (
            "Feature: agge (data type: float) is required but",
            ["age"],
            "'agge' of type float. Is 'age' meant to be that feature?",
        ),
        ("Feature: \x1b (data type: int64) is required but", ["age"], r"the feature '\\x1b' of type int64."),
        ("Key: x.  Data types don't match.", ["x"], "1.0 as float"),
        ("something else", ["x"], "old"),
    ],
)
def test_refused_features_are_explained(reason: str, features: list[str], hint: str) -> None:
    refused = RefusedError("no", status=400, reason=reason, hint="old")
    request = build_examples("classify", [dict.fromkeys(features, 1)])
    assert hint in str(raised(FakeConnection({}, refused), request).hint)


@pytest.mark.parametrize("request_", [read_request("{}"), build_examples("classify", [{}])])
def test_other_errors_are_unchanged(request_: InferenceRequest) -> None:
    reason = "Feature: x (data type: y) is required"
    errors = (timed_out("http://h", 1), NotListeningError("a"), RefusedError("no", status=404, reason=reason))
    for error in errors:
        assert raised(FakeConnection(KNOWN, error), request_) is error


def test_tables() -> None:
    predicted = InferenceResponse(b"", {"predictions": [2.5]}, 1.0)
    request = InferenceRequest("predict", b'{"instances": [1]}', "serving_default", KNOWN["serving_default"])
    assert response_table(request, predicted).columns == ("x", "y")
    regressed = InferenceResponse(b"", {"results": [2.5]}, 1.0)
    assert response_table(build_examples("regress", [{"x": 1}]), regressed).columns == ("x", "value")

from __future__ import annotations

import json

import pytest

from tfserve.client.model_ref import ModelRef
from tfserve.client.predict_request import build_request
from tfserve.client.rest import RestClient
from tfserve.client.smallest_request import NoSmokeRequestError, smallest_request, smoke_signature
from tfserve.errors import RequestError
from tfserve.models.saved_model import Signature, TensorSpec
from tfserve.spec.fields import option_names

PREDICT = "tensorflow/serving/predict"


def signature(**inputs: TensorSpec) -> Signature:
    return Signature(PREDICT, inputs, {})


@pytest.mark.parametrize(
    ("spec", "tensor"),
    [
        (TensorSpec("DT_FLOAT", (-1,)), [0.0]),
        (TensorSpec("DT_FLOAT", ()), 0.0),
        (TensorSpec("DT_INT64", (-1, 2, -1)), [[[0], [0]]]),
        (TensorSpec("DT_BOOL", (2,)), [False, False]),
        (TensorSpec("DT_STRING", None), [""]),
        (TensorSpec("DT_FLOAT", (-1, 0)), [[]]),
        (TensorSpec("DT_FLOAT", (0,)), []),
    ],
)
def test_smallest_tensor(spec: TensorSpec, tensor: object) -> None:
    request = smallest_request(signature(x=spec), "serving_default")
    assert json.loads(request.body) == {"inputs": tensor}
    assert json.dumps(json.loads(request.body)["inputs"]) == json.dumps(tensor)  # distinguishes 0, 0.0 and false


def test_several_inputs_of_another_signature() -> None:
    known = signature(a=TensorSpec("DT_FLOAT", (-1,)), b=TensorSpec("DT_STRING", ()))
    request = smallest_request(known, "other")
    assert json.loads(request.body) == {"signature_name": "other", "inputs": {"a": [0.0], "b": ""}}
    assert (request.method, request.signature_name, request.signature) == ("predict", "other", known)


def test_request_for_an_image_is_small() -> None:
    request = smallest_request(signature(x=TensorSpec("DT_FLOAT", (-1, 224, 224, 3))), "serving_default")
    assert len(request.body) < 10**6
    build_request({"serving_default": signature(x=TensorSpec("DT_FLOAT", (-1, 224, 224, 3)))},
                  values=[json.dumps(json.loads(request.body)["inputs"])])  # fmt: skip


@pytest.mark.parametrize("shape", [(10**12,), (-1, 4096, 4096, 3), (2,) * 200, (10**12, 0)])
def test_too_large_request_is_not_built(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[TensorSpec] = []
    monkeypatch.setattr("tfserve.client.smallest_request._zeros", built.append)
    with pytest.raises(NoSmokeRequestError, match="more than 32 MiB") as caught:
        smallest_request(signature(x=TensorSpec("DT_FLOAT", shape)), "serving_default")
    assert built == []
    assert isinstance(caught.value, RequestError)
    assert "smoke_test=False" in (caught.value.hint or "")
    caught.value.reword(option_names)
    assert caught.value.hint == "Send your own request with --smoke-test, or skip the smoke test with --no-smoke-test."


@pytest.mark.parametrize("shape", [(0, 10**9), (-1, 0, 2)])
def test_empty_tensor_whose_shape_json_cannot_represent(shape: tuple[int, ...]) -> None:
    with pytest.raises(NoSmokeRequestError, match="JSON cannot represent the shape"):
        smallest_request(signature(x=TensorSpec("DT_FLOAT", shape)), "serving_default")


def test_limit_applies_to_all_inputs_together() -> None:
    half = TensorSpec("DT_UINT8", (9 * 2**20,))  # 18 MiB of JSON
    smallest_request(signature(a=half), "serving_default")
    with pytest.raises(NoSmokeRequestError, match="b has the shape"):
        smallest_request(signature(a=half, b=half), "serving_default")


def test_no_request_is_possible() -> None:
    text = TensorSpec("DT_STRING", (-1,))
    for method in ("tensorflow/serving/classify", "tensorflow/serving/regress"):
        with pytest.raises(NoSmokeRequestError):
            smallest_request(Signature(method, {"inputs": text}, {}), "serving_default")
    with pytest.raises(NoSmokeRequestError):
        smallest_request(signature(), "serving_default")
    with pytest.raises(NoSmokeRequestError, match="DT_RESOURCE"):
        smallest_request(signature(x=TensorSpec("DT_RESOURCE", ())), "serving_default")


def test_signature_for_the_smoke_test() -> None:
    predict = signature(x=TensorSpec("DT_FLOAT", (-1,)))
    classify = Signature("tensorflow/serving/classify", predict.inputs, {})
    assert smoke_signature({"a": predict, "serving_default": predict})[0] == "serving_default"
    assert smoke_signature({"a": predict, "b": classify, "serving_default": classify})[0] == "a"
    assert smoke_signature({"empty": signature(), "full": predict})[0] == "full"
    for none in ({}, {"b": classify}, {"empty": signature()}):
        with pytest.raises(NoSmokeRequestError):
            smoke_signature(none)


def test_smallest_request_works_with_a_real_server(server_url: str) -> None:
    with RestClient(server_url) as client:
        name, known = smoke_signature(client.metadata(ModelRef("half_plus_two")).signatures)
        response = json.loads(
            client.infer("predict", ModelRef("half_plus_two"), smallest_request(known, name).body).body
        )
    (output,) = response.values()
    assert json.dumps(output).strip("[]") == "2.0"

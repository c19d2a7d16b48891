"""Classify, Regress and MultiInference with a real model, without a server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.model_server.grpc.examples_requests import GrpcClassify, GrpcRegress
from tfserve.model_server.grpc.multi_inference import GrpcMultiInference
from tfserve.model_server.inference.request import InferenceRequest
from tfserve.model_server.models.manager import ModelSpec
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.status import Code, StatusError
from tfserve.protos import apis_pb2 as apis

KINDS: list[Any] = [GrpcClassify, GrpcRegress, GrpcMultiInference]
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def answer(request: InferenceRequest, servable: Servable) -> bytes:
    results = [servable.run(*call, request.timeout_ms) for call in request.prepare(servable)]
    return request.finish(servable, results)


def spec(signature: str = "", **choice: Any) -> apis.ModelSpec:
    return apis.ModelSpec(name="examples", signature_name=signature, **choice)


def inputs(*values: float) -> apis.Input:
    message = apis.Input()
    for value in values:
        example = apis.Example()
        example.features.feature["x"].float_list.value.append(value)
        message.example_list.examples.append(example.SerializeToString())
    return message


def task(method: str, signature: str = "", name: str = "examples") -> apis.InferenceTask:
    return apis.InferenceTask(model_spec=apis.ModelSpec(name=name, signature_name=signature), method_name=method)


def assert_answered_by(model_spec: apis.ModelSpec, signature: str) -> None:
    assert (model_spec.name, model_spec.version.value, model_spec.signature_name) == ("examples", 1, signature)


def test_classify(examples: Servable) -> None:
    message = apis.ClassificationRequest(model_spec=spec(version={"value": 1}), input=inputs(0.5, 2.0))
    request = GrpcClassify(message.SerializeToString(), 0)
    assert request.model == ModelSpec("examples", 1)
    assert request.size == message.ByteSize()
    response = apis.ClassificationResponse.FromString(answer(request, examples))
    assert_answered_by(response.model_spec, "serving_default")
    found = [[(one.label, one.score) for one in row.classes] for row in response.result.classifications]
    assert found == [[("none", 0.5), ("0", 0.0)], [("none", 2.0), ("0", 0.0)]]


def test_labels_that_are_not_utf8(examples: Servable) -> None:
    message = apis.ClassificationRequest(model_spec=spec(version_label="l"), input=inputs(0.5))
    example = apis.Example.FromString(message.input.example_list.examples[0])
    example.features.feature["word"].bytes_list.value.append(b"a\xff")
    message.input.example_list.examples[0] = example.SerializeToString()
    request = GrpcClassify(message.SerializeToString(), 0)
    assert request.model == ModelSpec("examples", label="l")
    response = apis.ClassificationResponse.FromString(answer(request, examples))
    assert response.result.classifications[0].classes[0].label == "a\ufffd"


@pytest.mark.parametrize("signature", ["regress", "regress_column"])
def test_regress(examples: Servable, signature: str) -> None:
    message = apis.RegressionRequest(model_spec=spec(signature), input=inputs(0.5, 2.0))
    response = apis.RegressionResponse.FromString(answer(GrpcRegress(message.SerializeToString(), 0), examples))
    assert_answered_by(response.model_spec, signature)
    assert [one.value for one in response.result.regressions] == [1.0, 4.0]


def test_multi_inference(examples: Servable) -> None:
    message = apis.MultiInferenceRequest(
        tasks=[task(REGRESS, "regress"), task(CLASSIFY), task(CLASSIFY, "only_scores")], input=inputs(0.5)
    )
    request = GrpcMultiInference(message.SerializeToString(), 0)
    assert request.model == ModelSpec("examples")
    response = apis.MultiInferenceResponse.FromString(answer(request, examples))
    first, second, third = response.results
    assert_answered_by(first.model_spec, "regress")
    assert_answered_by(second.model_spec, "serving_default")
    assert first.regression_result.regressions[0].value == 1.0
    assert second.classification_result.classifications[0].classes[0].label == "none"
    assert third.classification_result.classifications[0].classes[0].score == 0.5


@pytest.mark.parametrize(
    ("kind", "message", "text"),
    [
        (GrpcClassify, apis.ClassificationRequest(input=inputs(1)), "Missing ModelSpec"),
        (GrpcRegress, apis.RegressionRequest(), "Missing ModelSpec"),
        (GrpcRegress, apis.RegressionRequest(model_spec={}), "ModelSpec has no name specified."),
        (GrpcMultiInference, apis.MultiInferenceRequest(), "ModelSpec has no name specified."),
        (GrpcMultiInference, apis.MultiInferenceRequest(tasks=[{}]), "ModelSpec has no name specified."),
        (GrpcClassify, apis.ClassificationRequest(model_spec=spec()), "Input is empty."),
        (GrpcRegress, apis.RegressionRequest(model_spec=spec("regress")), "Input is empty."),
        (GrpcRegress, apis.RegressionRequest(model_spec=spec("no")), "No signature was found with the name: no"),
        (GrpcRegress, apis.RegressionRequest(model_spec=spec()), "Expected one output Tensor."),
        (
            GrpcClassify,
            apis.ClassificationRequest(model_spec=spec("double_scores"), input=inputs(1)),
            "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE",
        ),
        (
            GrpcRegress,
            apis.RegressionRequest(model_spec=spec("regress_first"), input=inputs(1, 2)),
            "Input batch size did not match output batch size: 2 vs. 1",
        ),
        (GrpcMultiInference, apis.MultiInferenceRequest(tasks=[task(CLASSIFY)]), "Input is empty."),
        (
            GrpcMultiInference,
            apis.MultiInferenceRequest(tasks=[task(CLASSIFY), task(REGRESS, name="")]),
            "Found ModelSpec with an empty model name.",
        ),
        (
            GrpcMultiInference,
            apis.MultiInferenceRequest(tasks=[task(CLASSIFY), task(REGRESS, "regress", name="b")]),
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
        ),
        (
            GrpcMultiInference,
            apis.MultiInferenceRequest(tasks=[task(CLASSIFY), task(CLASSIFY, "serving_default")]),
            "Duplicate evaluation of signature: serving_default",
        ),
        (
            GrpcMultiInference,
            apis.MultiInferenceRequest(tasks=[task(CLASSIFY, "no")]),
            "Requested signature not found in model graph: no",
        ),
        (GrpcMultiInference, apis.MultiInferenceRequest(tasks=[task(REGRESS)]), "Expected one output Tensor."),
    ],
)
def test_invalid_requests(examples: Servable, kind: Any, message: Any, text: str) -> None:
    with pytest.raises(StatusError) as caught:
        answer(kind(message.SerializeToString(), 0), examples)
    assert (caught.value.code, caught.value.message) == (Code.INVALID_ARGUMENT, text)


def test_other_methods_are_not_implemented(examples: Servable) -> None:
    message = apis.MultiInferenceRequest(tasks=[task("tensorflow/serving/predict")])
    with pytest.raises(StatusError, match="Unsupported signature method_name: tensorflow/serving/predict") as caught:
        answer(GrpcMultiInference(message.SerializeToString(), 0), examples)
    assert caught.value.code is Code.UNIMPLEMENTED


@given(st.binary(), st.sampled_from(KINDS))
def test_bytes_that_are_not_a_message(body: bytes, kind: Any) -> None:
    try:
        kind(body, 0)
    except StatusError as failure:
        assert failure.code in (Code.INTERNAL, Code.INVALID_ARGUMENT)

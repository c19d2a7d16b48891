from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tfserve.protos.apis_pb2 import PredictRequest
from tfserve.protos.saved_model_pb2 import DataType, TensorProto
from tfserve.protos.tensors import to_array, to_proto_content, to_proto_fields

from .client import Client, Failure, predict_request
from .conftest import GrpcProcess

INVALID = "INVALID_ARGUMENT"
TWO = "Outputs expected to be in the set {double,joined,words_bytes}."


def tensor(values: Any, dtype: str = "float32") -> TensorProto:
    return TensorProto.FromString(to_proto_fields(np.array(values, dtype)))


def words() -> TensorProto:
    made = TensorProto(dtype="DT_STRING", string_val=[b"a", b"b"])
    made.tensor_shape.dim.add(size=1)
    made.tensor_shape.dim.add(size=2)
    return made


def test_the_response_names_the_model(zoo_client: Client) -> None:
    response = zoo_client.predict(predict_request("zoo", x=tensor([1, 2])))
    assert to_array(response.outputs["y"]).tolist() == [2.0, 4.0]
    assert list(response.outputs["y"].float_val) == [2.0, 4.0]
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("zoo", 1, "serving_default")
    request = predict_request("zoo", "total", x=tensor([1, 2, 4]))
    request.model_spec.version.value = 1
    response = zoo_client.predict(request)
    assert to_array(response.outputs["sum"]).tolist() == 7.0
    assert response.model_spec.signature_name == "total"


@settings(max_examples=60)
@given(
    st.sampled_from(["float32", "float64", "float16", "complex64", "bool", "int8", "int64", "uint16", "uint64"]),
    st.booleans(),
    st.data(),
)
def test_every_type_is_returned_unchanged(zoo_client: Client, dtype: str, content: bool, data: st.DataObject) -> None:
    array = data.draw(npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)))
    sent = TensorProto.FromString((to_proto_content if content else to_proto_fields)(array))
    back = to_array(zoo_client.predict(predict_request("zoo", f"echo_{dtype}", x=sent)).outputs["y"])
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_the_output_filter(zoo_client: Client) -> None:
    request = predict_request("zoo", "pair", ("words_bytes", "joined"), number=tensor([1], "int32"), words=words())
    outputs = zoo_client.predict(request).outputs
    assert {alias: to_array(output).tolist() for alias, output in outputs.items()} == {
        "joined": [b"ab"],
        "words_bytes": [[b"a", b"b"]],
    }


def test_an_input_with_a_default_can_be_omitted(zoo_client: Client) -> None:
    outputs = zoo_client.predict(predict_request("zoo", "pair", words=words())).outputs
    assert to_array(outputs["double"]).tolist() == [14.0]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (PredictRequest(), Failure(INVALID, "Missing ModelSpec")),
        (predict_request(""), Failure(INVALID, "ModelSpec has no name specified.")),
        (predict_request("nope"), Failure("NOT_FOUND", "Servable not found for request: Latest(nope)")),
        (predict_request("zoo", "nope"), Failure("FAILED_PRECONDITION", 'Serving signature key "nope" not found.')),
        (
            predict_request("zoo", z=tensor([1]), y=tensor([1])),
            Failure(
                INVALID,
                "input size does not match signature: 2!=1 len({y,z}) != len({x}). Sent extra: {y,z}. "
                "Missing but required: {x}.",
            ),
        ),
        (
            predict_request("zoo", z=tensor([1])),
            Failure(
                INVALID,
                "Signature input alias: x(feed name: serving_default_x:0) not found in request and no default value "
                "provided. Inputs expected to be in the request {z}, or default input alias set: ",
            ),
        ),
        (
            predict_request("zoo", "pair", words=words(), x=tensor([1])),
            Failure(INVALID, "Inputs contains invalid name. Used request inputs: words, request input: words,x"),
        ),
        (
            predict_request("zoo", x=tensor([1, 2], "int32")),
            Failure(INVALID, "Expects arg[0] to be float but int32 is provided"),
        ),
        (
            predict_request("zoo", "pair", ("nope",), words=words()),
            Failure(INVALID, f"output tensor alias not found in signature: nope {TWO}"),
        ),
        (
            predict_request("zoo", "pair", ("joined", "joined"), words=words()),
            Failure(INVALID, "duplicate output tensor alias: joined"),
        ),
        (b"\xff", Failure("INTERNAL", "The request is not a PredictRequest")),
    ],
)
def test_invalid_requests(zoo_client: Client, request_: PredictRequest | bytes, expected: Failure) -> None:
    assert zoo_client.predict_failure(request_) == expected


def test_an_unknown_version_and_an_unknown_label(zoo_client: Client) -> None:
    request = predict_request("zoo", x=tensor([1, 2]))
    request.model_spec.version.value = 9
    assert zoo_client.predict_failure(request) == Failure(
        "NOT_FOUND", "Servable not found for request: Specific(zoo, 9)"
    )
    request.model_spec.version_label = "canary"
    assert zoo_client.predict_failure(request).code == INVALID


def test_a_malformed_tensor(zoo_client: Client) -> None:
    broken = TensorProto(dtype=DataType.Name(DataType.DT_FLOAT), tensor_content=b"123")
    broken.tensor_shape.dim.add(size=1)
    failure = zoo_client.predict_failure(predict_request("zoo", x=broken))
    assert failure.code == INVALID
    assert failure.message.startswith("tensor parsing error: x")


def test_a_wrong_shape_gets_tensorflows_error(zoo_client: Client) -> None:
    assert zoo_client.predict_failure(predict_request("zoo", x=tensor([1, 2, 3]))).code == INVALID


def test_a_long_message_is_truncated(zoo_client: Client) -> None:
    failure = zoo_client.predict_failure(predict_request("n" * 5000))
    assert failure.message == f"Servable not found for request: Latest({'n' * 5000}"[:1024] + "...TRUNCATED"


def test_more_than_four_megabytes_in_both_directions(zoo_client: Client) -> None:
    array = np.arange(2_000_000, dtype=np.float32)
    request = predict_request("zoo", "echo_float32", x=TensorProto.FromString(to_proto_content(array)))
    np.testing.assert_array_equal(to_array(zoo_client.predict(request).outputs["y"]), array)


def test_a_message_beyond_the_limit_is_refused(zoo_client: Client) -> None:
    failure = zoo_client.predict_failure(predict_request("zoo", x=tensor(np.zeros(5_100_000))))
    assert failure.code == "RESOURCE_EXHAUSTED"
    assert zoo_client.predict(predict_request("zoo", x=tensor([1, 2])))


def test_the_deadline_of_the_client_ends_the_run(zoo_client: Client, zoo_process: GrpcProcess, tmp_path: Path) -> None:
    held = predict_request("zoo", "hold", started=path(tmp_path / "started"), go=path(tmp_path / "never"))
    assert zoo_client.predict_failure(held, timeout=1).code == "DEADLINE_EXCEEDED"
    # The server has one thread for slow models, which is free only after the run has ended.
    request = predict_request("zoo", "wait", seconds=tensor([0.02], "float64"))
    assert zoo_client.predict(request, timeout=1e9)
    assert zoo_client.predict(request, timeout=None)


def path(file: Path) -> TensorProto:
    made = TensorProto(dtype="DT_STRING", string_val=[str(file).encode()])
    made.tensor_shape.SetInParent()
    return made

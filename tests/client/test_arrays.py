from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.client.arrays import dtype_of, input_arrays
from tfserve.client.json_arrays import StaleSignatureError, encode_arrays, encode_outputs, read_inputs, read_outputs
from tfserve.client.json_document import read_json
from tfserve.errors import RequestError, UsageError
from tfserve.models.saved_model import Signature, TensorSpec

PREDICT = "tensorflow/serving/predict"
NUMBERS = (
    *("DT_FLOAT", "DT_DOUBLE", "DT_BOOL"),
    *("DT_INT8", "DT_INT16", "DT_INT32", "DT_INT64", "DT_UINT8", "DT_UINT32", "DT_UINT64"),
)


def signature_of(dtype: str, shape: tuple[int, ...] | None = None) -> Signature:
    return Signature(PREDICT, {"x": TensorSpec(dtype, shape)}, {"y": TensorSpec(dtype, shape)})


def array(value: Any, dtype: str, shape: tuple[int, ...] | None = None) -> Any:
    return input_arrays(value, signature_of(dtype, shape))["x"]


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        ([1, 2.5], "DT_FLOAT", [1.0, 2.5]),
        ((1, 2), "DT_FLOAT", [1.0, 2.0]),
        (np.array([1, 2], np.int64), "DT_HALF", [1.0, 2.0]),
        (np.float64(0.1), "DT_FLOAT", float(np.float32(0.1))),
        ([], "DT_INT32", []),
        ([255, 0], "DT_UINT8", [255, 0]),
        ([2**64 - 1], "DT_UINT64", [2**64 - 1]),
        ([True], "DT_BOOL", [True]),
        ([1, 1j], "DT_COMPLEX64", [1, 1j]),
        ([float("inf"), float("-inf")], "DT_FLOAT", [float("inf"), float("-inf")]),
        (["a", b"\xff\0"], "DT_STRING", [b"a", b"\xff\0"]),
        (np.array([["ü"], ["b"]]), "DT_STRING", [["ü".encode()], [b"b"]]),
        ("a", "DT_STRING", b"a"),
        ([], "DT_STRING", []),
    ],
)
def test_values(value: Any, dtype: str, expected: Any) -> None:
    made = array(value, dtype)
    assert made.dtype == dtype_of(dtype)
    assert made.tolist() == expected


def test_matching_array_is_not_copied() -> None:
    given_array = np.zeros(3, np.float32)
    assert array(given_array, "DT_FLOAT", (-1,)) is given_array


@pytest.mark.parametrize(
    ("value", "dtype", "shape", "words"),
    [
        ([1.5], "DT_INT32", None, "x contains float64, but the input takes int32"),
        ([1], "DT_BOOL", None, "but the input takes bool"),
        ([True], "DT_FLOAT", None, "but the input takes float32"),
        (["1"], "DT_FLOAT", None, "but the input takes float32"),
        ([None], "DT_FLOAT", None, "but the input takes float32"),
        ([2**31], "DT_INT32", None, "out of the range of int32"),
        ([-1], "DT_UINT64", None, "out of the range of uint64"),
        ([1e39], "DT_FLOAT", None, "out of the range of float32"),
        ([[1], [2, 3]], "DT_FLOAT", None, "not rectangular"),
        ([["a"], ["b", "c"]], "DT_STRING", None, "neither str nor bytes"),
        ([1], "DT_STRING", None, "x contains 1, which is neither"),
        (["\ud800"], "DT_STRING", None, "not valid Unicode"),
        ([1], "DT_RESOURCE", None, "NumPy has no dtype for DT_RESOURCE"),
        ([1], "DT_99", None, "NumPy has no dtype for DT_99"),
        ([1, 2], "DT_FLOAT", (-1, 2), r"x has the shape \(2,\), but the input takes \(-1, 2\)"),
        ([[1, 2, 3]], "DT_FLOAT", (-1, 2), r"\(1, 3\)"),
    ],
)
def test_values_that_do_not_match_the_signature(
    value: Any, dtype: str, shape: tuple[int, ...] | None, words: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        array(value, dtype, shape)
    assert caught.value.details is not None
    assert "x" in caught.value.details


def test_several_inputs() -> None:
    signature = Signature(PREDICT, {"age": TensorSpec("DT_INT32", (-1,)), "name": TensorSpec("DT_STRING", (-1,))}, {})
    made = input_arrays({"name": ["Ada"], "age": [36]}, signature)
    assert {name: value.tolist() for name, value in made.items()} == {"name": [b"Ada"], "age": [36]}
    assert list(input_arrays({"age": [1]}, signature)) == ["age"]  # the other input may have a default
    with pytest.raises(UsageError, match="no input 'aeg'") as caught:
        input_arrays({"aeg": [1]}, signature)
    assert caught.value.hint == "Did you mean age?"
    with pytest.raises(UsageError, match="has 2 inputs") as caught:
        input_arrays([1], signature)
    assert "in a dict" in str(caught.value.hint)


@given(st.sampled_from(NUMBERS), st.data())
def test_numbers_survive_json(dtype: str, data: st.DataObject) -> None:
    from hypothesis.extra import numpy as npst

    sent = data.draw(npst.arrays(dtype_of(dtype), npst.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=3)))
    document = read_json(encode_arrays({"x": sent}, "serving_default"))
    got, layout = read_inputs(document, signature_of(dtype))
    assert layout == "column"
    np.testing.assert_array_equal(got["x"], sent)
    response = read_outputs("http://h", {"outputs": document["inputs"]["x"]}, signature_of(dtype))["y"]
    assert response.dtype == sent.dtype
    np.testing.assert_array_equal(response, sent)


@given(st.lists(st.lists(st.binary(max_size=5), min_size=2, max_size=2), min_size=1, max_size=3))
def test_bytes_survive_json(texts: list[list[bytes]]) -> None:
    document = read_json(encode_arrays(input_arrays(texts, signature_of("DT_STRING")), "s"))
    assert document["signature_name"] == "s"
    assert read_inputs(document, signature_of("DT_STRING"))[0]["x"].tolist() == texts
    document = encode_outputs({"y": input_arrays(texts, signature_of("DT_STRING"))["x"]}, "column")
    assert read_outputs("http://h", document, signature_of("DT_STRING"))["y"].tolist() == texts


def test_rows() -> None:
    signature = Signature(PREDICT, {"a": TensorSpec("DT_INT32", (-1,)), "b": TensorSpec("DT_STRING", (-1,))}, {})
    rows = {"instances": [{"a": 1, "b": "x"}, {"a": 2, "b": {"b64": "/w=="}}]}
    inputs, layout = read_inputs(rows, signature)
    assert layout == "row"
    assert {name: value.tolist() for name, value in inputs.items()} == {"a": [1, 2], "b": [b"x", b"\xff"]}
    assert encode_outputs(inputs, "row") == {"predictions": [{"a": 1, "b": "x"}, {"a": 2, "b": {"b64": "/w=="}}]}
    assert encode_outputs({"a": inputs["a"]}, "row") == {"predictions": [1, 2]}
    assert encode_outputs({"a": np.array([0.5], np.float16)}, "row") == {"predictions": [0.5]}
    with pytest.raises(RequestError, match="cannot be shown as rows"):
        encode_outputs({"a": np.zeros(2), "b": np.zeros(3)}, "row")


@pytest.mark.parametrize(
    "document",
    [
        *({}, {"instances": [1], "inputs": [1]}, {"instances": []}, {"instances": 1}),
        *({"instances": [{"x": 1}, 2]}, {"instances": [{"x": 1}, {"y": 1}]}, {"inputs": [{"b64": "!"}]}),
    ],
)
def test_malformed_requests(document: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        read_inputs(document, signature_of("DT_FLOAT"))


@pytest.mark.parametrize(
    ("document", "dtype", "error"),
    [
        ({"predictions": [1.0]}, "DT_FLOAT", RequestError),
        ({"outputs": {"y": [1.0], "z": [1.0]}}, "DT_FLOAT", StaleSignatureError),
        ({"outputs": [1]}, "DT_FLOAT", StaleSignatureError),
        ({"outputs": [1.5]}, "DT_INT32", StaleSignatureError),
        ({"outputs": [True]}, "DT_INT32", StaleSignatureError),
        ({"outputs": ["a"]}, "DT_FLOAT", StaleSignatureError),
        ({"outputs": [None]}, "DT_STRING", StaleSignatureError),
        ({"outputs": [[1.0], [1.0, 2.0]]}, "DT_FLOAT", RequestError),
        ({"outputs": [1, 2**40]}, "DT_INT32", RequestError),
        ({"outputs": ["a", 1]}, "DT_STRING", RequestError),
        ({"outputs": [{"b64": "!"}]}, "DT_STRING", RequestError),
    ],
)
def test_malformed_responses(document: dict[str, Any], dtype: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_outputs("http://h", document, signature_of(dtype))


def test_types_that_rest_does_not_carry() -> None:
    with pytest.raises(UsageError, match="float16 over REST") as caught:
        encode_arrays({"x": np.zeros(1, np.float16)}, "s")
    assert "grpc" in str(caught.value.hint)

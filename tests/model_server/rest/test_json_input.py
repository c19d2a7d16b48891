from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.model_server.rest.json_input import PredictInput, parse_document, parse_predict
from tfserve.model_server.runtime.tensors import numpy_dtype
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.saved_model_pb2 import DataType

FLOAT, INT8, INT64, STRING, BOOL = (
    DataType.DT_FLOAT,
    DataType.DT_INT8,
    DataType.DT_INT64,
    DataType.DT_STRING,
    DataType.DT_BOOL,
)


def parse(body: Any, **inputs: int) -> PredictInput:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_predict(parse_document(raw), lambda signature: inputs or {"x": FLOAT})


def error(body: Any, **inputs: int) -> str:
    with pytest.raises(StatusError) as caught:
        parse(body, **inputs)
    assert caught.value.code is Code.INVALID_ARGUMENT
    return caught.value.message


def test_rows_of_one_input() -> None:
    request = parse({"instances": [[1, 2.5], [3, 4]], "signature_name": "other", "ignored": None})
    assert request.row_format
    assert request.signature == "other"
    assert request.arrays["x"].dtype == np.float32
    assert request.arrays["x"].tolist() == [[1.0, 2.5], [3.0, 4.0]]


def test_rows_of_named_inputs() -> None:
    request = parse({"instances": [{"a": 1, "b": ["x", "y"]}, {"b": ["z", ""], "a": 2}]}, a=INT64, b=STRING)
    assert request.arrays["a"].tolist() == [1, 2]
    assert request.arrays["b"].tolist() == [[b"x", b"y"], [b"z", b""]]


def test_columns() -> None:
    assert parse({"inputs": 3}).arrays["x"].shape == ()
    assert parse({"inputs": {"x": [[1]]}}).arrays["x"].tolist() == [[1.0]]
    request = parse({"inputs": {"a": 7, "b": [[True], [False]], "more": 1}}, a=INT8, b=BOOL)
    assert not request.row_format
    assert request.arrays["a"].dtype == np.int8
    assert request.arrays["b"].tolist() == [[True], [False]]


def test_base64_and_text() -> None:
    assert parse({"instances": [{"b64": "AAH/"}, "é\u0000"]}, x=STRING).arrays["x"].tolist() == [
        b"\x00\x01\xff",
        "é\u0000".encode(),
    ]
    assert parse({"inputs": {"b64": "AAH/"}}, x=STRING).arrays["x"].item() == b"\x00\x01\xff"


def test_tokens_beyond_json() -> None:
    assert parse(b'{"instances": [%b, -1%b, NaN]}' % (b"9" * 5000, b"0" * 400)).arrays["x"][:2].tolist() == [
        np.inf,
        -np.inf,
    ]
    values = parse(b'{"instances": [NaN, Infinity, -Infinity, 1e400, 1]}').arrays["x"].tolist()
    assert np.isnan(values[0])
    assert values[1:] == [np.inf, -np.inf, np.inf, 1.0]


def test_text_after_the_object_is_ignored() -> None:
    assert parse(b' {"instances": [1]} and more').arrays["x"].tolist() == [1.0]


def test_a_byte_order_mark_is_skipped() -> None:
    assert parse(b'\xef\xbb\xbf {"instances": [1]}').arrays["x"].tolist() == [1.0]


def test_integers_beyond_a_double_are_exact() -> None:
    values = [2**53 + 1, -(2**63), 2**63 - 1]
    assert parse({"instances": values}, x=INT64).arrays["x"].tolist() == values
    values = [1, 2**64 - 1]
    assert parse({"instances": values}, x=DataType.DT_UINT64).arrays["x"].tolist() == values


@pytest.mark.parametrize(
    ("body", "inputs", "message"),
    [
        (b"", {}, "JSON Parse error: The document is empty"),
        (b'{"instances": [1}', {}, "JSON Parse error: "),
        (b'{"instances": ["\xff"]}', {}, "JSON Parse error: Invalid encoding in string. at offset: 16"),
        (b"[" * 100_000, {}, "JSON Parse error: "),
        ([1], {}, "JSON Value: [1] Is not object"),
        ({}, {}, "Missing 'inputs' or 'instances' key"),
        ({"signature_name": 1}, {}, "'signature_name' key must be a string value."),
        ({"instances": [1], "inputs": [1]}, {}, "expecting only one of 'inputs' or 'instances' keys to exist"),
        ({"instances": 1}, {}, "Expecting 'instances' to be an list/array"),
        ({"instances": []}, {}, "No values in 'instances' array"),
        (
            {"instances": ["a"]},
            {},
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: "
            'JSON Value: "a" Type: String is not of expected type: float',
        ),
        (
            {"instances": [1, True]},
            {},
            "element: 1 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: true Type",
        ),
        ({"instances": [1, None]}, {}, "JSON Value: null Type: Null is not of expected type: float"),
        ({"instances": [1, {"b64": "AA=="}]}, {}, "Type: Object is not of expected type: float"),
        ({"instances": [1.5]}, {"x": INT64}, "JSON Value: 1.5 Type: Number is not of expected type: int64"),
        ({"instances": [128]}, {"x": INT8}, "JSON Value: 128 Type: Number is not of expected type: int8"),
        ({"instances": [2**63]}, {"x": INT64}, "is not of expected type: int64"),
        ({"instances": [-1, 2**63]}, {"x": DataType.DT_UINT64}, "JSON Value: -1 Type: Number is not of expected type"),
        ({"instances": [1]}, {"x": STRING}, "JSON Value: 1 Type: Number is not of expected type: string"),
        ({"instances": [1]}, {"x": BOOL}, "JSON Value: 1 Type: Number is not of expected type: bool"),
        ({"instances": [{"b64": "*"}]}, {"x": STRING}, "Unable to base64 decode"),
        ({"instances": ["a", {"c": 1}]}, {"x": STRING}, "Expecting value/list but got object at item 1 of input list"),
        (b'{"instances": ["\\ud800"]}', {"x": STRING}, "The surrogate pair in string is invalid."),
        ({"instances": [[1, 2], [3]]}, {}, "element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor"),
        ({"instances": [[[1, 2]], [[3], [4]]]}, {}, "Expecting shape [1,2] but got: [2,1]"),
        ({"instances": [[1, [2]]]}, {}, "Encountered list at unexpected level: 1 expected < 1"),
        (
            {"instances": [[[1], 2]]},
            {},
            "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        ({"inputs": [[1, 2], [3]]}, {}, "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ({"instances": [{"y": 1}]}, {}, "key: y of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not"),
        (
            {"instances": [{"a": 1}]},
            {"a": FLOAT, "b": FLOAT},
            'JSON object: {\n    "a": 1\n} keys must be equal to: a,b',
        ),
        ({"instances": [{"x": 1}, 2]}, {}, "Expecting object but got list at item 1 of input list"),
        ({"instances": [1]}, {"a": FLOAT, "b": FLOAT}, "instances is a plain list, but expecting list of objects"),
        ({"instances": [{"b64": ""}]}, {"a": STRING, "b": STRING}, "instances is a plain list, but expecting list of"),
        ({"inputs": [1]}, {"a": FLOAT, "b": FLOAT}, "inputs is a plain value/list, but expecting an object"),
        ({"inputs": {"a": 1}}, {"a": FLOAT, "b": FLOAT}, "Missing named input: b in 'inputs' object."),
    ],
)
def test_invalid_bodies(body: Any, inputs: dict[str, int], message: str) -> None:
    assert message in error(body, **inputs)


def test_nesting_has_a_limit() -> None:
    value: Any = 1
    for _ in range(40):
        value = [value]
    assert "nested deeper than 32" in error({"inputs": value})


def test_values_in_messages_have_the_format_of_the_official_server() -> None:
    text = error(b'{"a": [1, [], {"b": {}, "c": "\xc3\xa9\\n"}], "d": [null, true, 0.5], "instances": 1}')
    assert text == (
        "JSON Value: {\n"
        '    "a": [1, [], {\n            "b": {},\n            "c": "é\\n"\n        }],\n'
        '    "d": [null, true, 0.5],\n'
        '    "instances": 1\n'
        "} Expecting 'instances' to be an list/array"
    )


def test_long_values_are_truncated_in_messages() -> None:
    assert len(error({"instances": ["a" * 10_000]})) < 500


def test_types_without_json_are_not_implemented() -> None:
    with pytest.raises(StatusError) as caught:
        parse({"inputs": [1]}, x=DataType.DT_COMPLEX64)
    assert caught.value.code is Code.UNIMPLEMENTED
    assert caught.value.message == "Conversion of JSON Value: 1 to type: complex64"


def test_an_unknown_signature() -> None:
    with pytest.raises(StatusError, match="Failed to get input map for signature: DEFAULT"):
        parse_predict(parse_document(b'{"instances": [1]}'), lambda signature: {})


NUMBERS = st.integers(-(2**65), 2**65) | st.floats(width=64) | st.booleans() | st.none() | st.text(max_size=2)
TYPES = (FLOAT, INT8, INT64, DataType.DT_UINT64, DataType.DT_DOUBLE, DataType.DT_HALF, DataType.DT_BFLOAT16)


def _result(body: Any, dtype: int) -> Any:
    try:
        return parse(body, x=dtype).arrays["x"]
    except StatusError as failure:
        return failure.message


@given(st.lists(NUMBERS, min_size=1, max_size=4), st.sampled_from(TYPES))
def test_numpy_and_the_strict_rules_agree(values: list[Any], dtype: int) -> None:
    """A body with a bool is converted value by value, which must not make a difference."""
    body = {"instances": values}
    fast, strict = _result(body, dtype), _result(body | {"other": True}, dtype)
    if isinstance(fast, str) or isinstance(strict, str):
        assert fast == strict
    else:
        assert fast.dtype == strict.dtype == numpy_dtype(dtype)
        np.testing.assert_array_equal(fast.astype(np.float64), strict.astype(np.float64))


JSON = st.recursive(
    NUMBERS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xb"), inner), max_leaves=8
)


@given(JSON, st.sampled_from(["instances", "inputs"]), st.sampled_from([FLOAT, INT8, STRING, BOOL]))
def test_any_json_is_read_or_refused(value: Any, key: str, dtype: int) -> None:
    try:
        arrays = parse({key: value}, x=dtype).arrays
    except StatusError as failure:
        assert failure.code is Code.INVALID_ARGUMENT
    else:
        assert arrays["x"].dtype == numpy_dtype(dtype)


@given(st.binary(max_size=40), st.booleans())
def test_any_bytes_are_read_or_refused(body: bytes, as_values: bool) -> None:
    try:
        parse(b'{"instances": [' + body + b"]}" if as_values else body)
    except StatusError as failure:
        assert failure.code is Code.INVALID_ARGUMENT

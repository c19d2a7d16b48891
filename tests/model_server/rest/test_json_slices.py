"""Large bodies are parsed in pieces, which must not make a difference."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tfserve.model_server.rest import json_body, json_scan
from tfserve.model_server.rest.json_body import parse_predict_body
from tfserve.model_server.rest.json_input import PredictInput, parse_document, parse_predict
from tfserve.model_server.rest.limits import Limits
from tfserve.model_server.runtime.tensors import numpy_dtype
from tfserve.model_server.status import StatusError
from tfserve.protos.saved_model_pb2 import DataType

FLOAT, DOUBLE, INT8, STRING, BOOL = (
    DataType.DT_FLOAT,
    DataType.DT_DOUBLE,
    DataType.DT_INT8,
    DataType.DT_STRING,
    DataType.DT_BOOL,
)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has every body count as large, and every list that is not tiny."""
    monkeypatch.setattr(json_scan, "PIECE_BYTES", 4)
    monkeypatch.setattr(json_scan, "_BLOCK_BYTES", 2)
    monkeypatch.setattr(json_body, "LIGHT_BYTES", 0)


def in_pieces(body: bytes, inputs: Mapping[str, int]) -> PredictInput:
    return parse_predict_body(memoryview(body), {"serving_default": inputs}, Limits())[0]


def at_once(body: bytes, inputs: Mapping[str, int]) -> PredictInput:
    return parse_predict(parse_document(body), lambda _: inputs)


def result(parse: Any, body: bytes, inputs: Mapping[str, int]) -> Any:
    try:
        request = parse(body, inputs)
    except StatusError as failure:
        return str(failure)
    values = {alias: (array.dtype, array.shape, repr(array.tolist())) for alias, array in request.arrays.items()}
    return request.signature, request.row_format, values


NUMBERS = st.integers(-200, 200) | st.floats(width=16) | st.just(1e300)
CELLS = NUMBERS | st.booleans() | st.none() | st.sampled_from(["", "a,", 'b"]', "Infinity"]) | st.just({"b64": "AA=="})
ROWS = (
    st.lists(NUMBERS, min_size=1, max_size=12)
    | st.lists(CELLS, max_size=6)
    | st.lists(st.lists(NUMBERS, min_size=2, max_size=2), max_size=6)
    | st.lists(st.lists(NUMBERS, max_size=3), max_size=6)
    | st.lists(st.fixed_dictionaries({"x": NUMBERS, "y": NUMBERS}) | NUMBERS, max_size=5)
)


@given(
    ROWS,
    ROWS,
    st.sampled_from(["instances", "inputs", "named", "both", "other"]),
    st.sampled_from([FLOAT, DOUBLE, INT8, STRING, BOOL, DataType.DT_BFLOAT16]),
    st.booleans(),
)
@example([float("inf"), 1, -math.inf, float("nan")], [], "instances", FLOAT, False)
@example([1, 2, 3, 4, 5, float("inf")], [], "inputs", DOUBLE, False)
@example([{"x": 1e300, "y": 1e300}, 0], [], "instances", STRING, True)
def test_pieces_make_no_difference(value: Any, second: Any, form: str, dtype: int, two: bool) -> None:
    inputs = {"x": dtype, "y": FLOAT} if two else {"x": dtype}
    document = {
        "instances": {"instances": value},
        "inputs": {"inputs": value},
        "named": {"signature_name": "", "inputs": {"z": second, "x": value, "y": second}},
        "both": {"instances": value, "inputs": second},
        "other": {"more": value, "instances": [1]},
    }[form]
    body = json.dumps(document).encode()
    pieces, whole = result(in_pieces, body, inputs), result(at_once, body, inputs)
    if pieces != whole:  # of errors in several rows, an early piece reports its own, before later rows are looked at
        assert form == "instances" and two
        beginnings = [json.dumps({"instances": value[:count]}).encode() for count in range(1, len(value))]
        assert isinstance(whole, str)
        assert pieces in [result(at_once, beginning, inputs) for beginning in beginnings]


@given(st.text('[]{},"1N a', max_size=14), st.sampled_from(["instances", "inputs"]))
@example("1,2,3,4,5,", "instances")
@example("1,2,3,,4,5", "instances")
@example(",1,2,3,4,5", "inputs")
@example("1,2,3,4}", "instances")
@example("1,2,3,4,5]", "inputs")
@example("         ", "instances")
@example("1NaN,Na,-NaN", "inputs")
@example("1Infinity,3", "inputs")
@example("--Infinity,3", "inputs")
@example("Infinity5,3", "inputs")
def test_text_that_is_not_json_is_refused_as_a_whole(inner: str, key: str) -> None:
    body = f'{{"{key}": [{inner}]}}'.encode()
    pieces, whole = result(in_pieces, body, {"x": FLOAT}), result(at_once, body, {"x": FLOAT})
    # An error of a value comes before that of the text in a later piece.
    assert pieces == whole or (isinstance(pieces, str) and isinstance(whole, str))


def test_offsets_and_indexes_are_those_of_the_whole_body() -> None:
    body = b'{"instances": [1, 2, 3, 4, 5, 6, x]}'
    assert result(in_pieces, body, {"x": FLOAT}).endswith(f"at offset: {body.index(b'x')}")
    body = b'{"instances": [[1], [2], [3], [4], [5], ["a"], [7]]}'
    assert "Failed to process element: 5 of" in result(in_pieces, body, {"x": FLOAT})


def test_a_marker_cannot_be_guessed_or_replaced() -> None:
    body = b'{"instances": ["1", "2", "3", "4"], "instances": [["0"]]}'
    assert result(in_pieces, body, {"x": STRING}) == result(at_once, body, {"x": STRING})


@pytest.mark.parametrize("dtype", [FLOAT, DataType.DT_HALF, DataType.DT_BFLOAT16, DOUBLE])
def test_tokens_are_numbers(dtype: int) -> None:
    body = b'{"instances": [NaN, 1.5, Infinity, -Infinity, 2, -3]}'
    array = in_pieces(body, {"x": dtype}).arrays["x"]
    assert array.dtype == numpy_dtype(dtype)
    expected = [np.nan, 1.5, np.inf, -np.inf, 2, -3]
    np.testing.assert_array_equal(array.astype(np.float64), np.array(expected))


def test_tokens_do_not_need_the_slow_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfserve.model_server.rest.json_input._parse_leniently", None)
    body = json.dumps({"instances": [[1.5, float("nan")], [math.inf, 2]] * 100}).encode()
    assert in_pieces(body, {"x": FLOAT}).arrays["x"].shape == (200, 2)


def test_text_after_the_document_is_ignored() -> None:
    assert in_pieces(b'{"instances": [1, 2, 3, 4]} and more', {"x": FLOAT}).arrays["x"].tolist() == [1, 2, 3, 4]

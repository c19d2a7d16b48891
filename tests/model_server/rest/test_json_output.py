from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tfserve.model_server.rest import json_output
from tfserve.model_server.rest.json_input import parse_document, parse_predict
from tfserve.model_server.rest.json_output import format_predictions
from tfserve.model_server.runtime.tensors import numpy_dtype
from tfserve.model_server.status import StatusError
from tfserve.protos.saved_model_pb2 import DataType


def strings(*values: bytes) -> Any:
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array


def test_one_output_by_row_has_the_format_of_the_official_server() -> None:
    body = format_predictions({"y": np.array([2.5, 3.0, 4.5], np.float32)}, row_format=True)
    assert body == b'{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}'


def test_several_outputs_by_row() -> None:
    arrays = {
        "a": np.array([[1, 2], [3, 4]], np.int64),
        "b": strings(b'q"', b"\xc3\xa9"),
        "c_bytes": strings(b"\0", b""),
    }
    assert json.loads(format_predictions(arrays, row_format=True)) == {
        "predictions": [
            {"a": [1, 2], "b": 'q"', "c_bytes": {"b64": "AA=="}},
            {"a": [3, 4], "b": "é", "c_bytes": {"b64": ""}},
        ]
    }


def test_columns() -> None:
    one = np.array(7, np.int32)
    assert json.loads(format_predictions({"y": one}, row_format=False)) == {"outputs": 7}
    both = {"y": one, "z": np.array([[True]])}
    assert json.loads(format_predictions(both, row_format=False)) == {"outputs": {"y": 7, "z": [[True]]}}


def test_scalars_of_every_kind() -> None:
    values = {"s": np.array(b"x", np.object_), "n": np.array(np.nan, np.float32), "h": np.array(0.1, np.float16)}
    text = format_predictions(values, row_format=False)
    assert b'"s": "x"' in text
    assert b'"n": NaN' in text
    assert np.float16(json.loads(text)["outputs"]["h"]) == np.float16(0.1)


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3), (2, 0, 2)])
def test_empty_tensors(shape: tuple[int, ...]) -> None:
    array = np.zeros(shape, np.float32)
    assert json.loads(format_predictions({"y": array}, row_format=True)) == {"predictions": array.tolist()}
    rows = json.loads(format_predictions({"y": array, "z": array}, row_format=True))["predictions"]
    assert rows == [{"y": row.tolist(), "z": row.tolist()} for row in array]


def test_text_that_is_not_utf8_becomes_well_formed() -> None:
    assert json.loads(format_predictions({"y": strings(b"a\xff")}, row_format=True)) == {"predictions": ["a\ufffd"]}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "Cannot convert empty tensor map to JSON"),
        ({"y": np.array(1.0)}, "Tensor name: y has no shape information "),
        ({"y": np.zeros(2), "z": np.zeros(3)}, "Tensor name: z has inconsistent batch size: 3 expecting: 2"),
        ({"y": np.zeros(2, np.complex64)}, "Failed to write JSON value for tensor type: complex64"),
    ],
)
def test_outputs_without_a_json_form_are_errors(arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(StatusError) as caught:
        format_predictions(arrays, row_format=True)
    assert caught.value.message == message


NUMBER_TYPES = {
    DataType.DT_FLOAT: npst.floating_dtypes(sizes=32, endianness="="),
    DataType.DT_DOUBLE: npst.floating_dtypes(sizes=64, endianness="="),
    DataType.DT_HALF: npst.floating_dtypes(sizes=16, endianness="="),
    **{getattr(DataType, f"DT_INT{size}"): npst.integer_dtypes(sizes=size, endianness="=") for size in (8, 16, 32, 64)},
    **{
        getattr(DataType, f"DT_UINT{size}"): npst.unsigned_integer_dtypes(sizes=size, endianness="=")
        for size in (8, 16, 32, 64)
    },
    DataType.DT_BOOL: npst.boolean_dtypes(),
}


@given(st.data(), st.sampled_from(sorted(NUMBER_TYPES)), st.booleans(), st.booleans())
def test_numbers_read_back_exactly(data: st.DataObject, dtype: int, row_format: bool, two: bool) -> None:
    shapes = npst.array_shapes(min_dims=1 if row_format else 0, max_dims=3, max_side=3)
    array = data.draw(npst.arrays(NUMBER_TYPES[dtype], shapes))
    arrays = {"a": array, "b": array} if two else {"a": array}
    body = format_predictions(arrays, row_format)
    request = body.replace(b'"predictions"', b'"instances"').replace(b'"outputs"', b'"inputs"')
    read = parse_predict(parse_document(request), lambda signature: dict.fromkeys(arrays, dtype))
    assert read.row_format is row_format
    for alias in arrays:
        assert read.arrays[alias].dtype == numpy_dtype(dtype)
        np.testing.assert_array_equal(read.arrays[alias], array)


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=4))
def test_bytes_read_back_exactly(values: list[bytes]) -> None:
    body = format_predictions({"a_bytes": strings(*values)}, row_format=True)
    request = body.replace(b'"predictions"', b'"instances"')
    read = parse_predict(parse_document(request), lambda signature: {"a_bytes": DataType.DT_STRING})
    assert read.arrays["a_bytes"].tolist() == values


SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)


@given(SHAPES, st.sampled_from(["float32", "int8", "bool", "object"]), st.booleans(), st.booleans(), st.integers(1, 9))
def test_large_outputs_are_written_in_pieces_that_make_no_difference(
    shape: tuple[int, ...], dtype: str, row_format: bool, both: bool, piece: int
) -> None:
    array: Any = (np.arange(math.prod(shape)) % 5).reshape(shape).astype(dtype)
    if dtype == "float32" and array.size:
        array.flat[-1] = np.nan
    if dtype == "object":
        array = np.vectorize(lambda number: b"%d," % number, otypes=[np.object_])(array) if array.size else array
    arrays = {"y": array, "z_bytes": array} if both else {"y": array}

    def text() -> bytes | str:
        try:
            return format_predictions(arrays, row_format)
        except StatusError as failure:
            return str(failure)

    whole = text()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_output, "_PIECE_VALUES", piece)
        assert text() == whole


def test_no_call_writes_more_than_a_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing stops all other threads, so a large output must not be written at once."""
    sizes: list[int] = []

    def write(array: Any, write: Any = json_output._number_text) -> bytes:
        sizes.append(max(array.size, len(array)))
        return bytes(write(array))

    monkeypatch.setattr(json_output, "_number_text", write)
    for shape in ((500_000,), (2, 500_000), (3, 5, 70_000), (300_000, 0), (250_000, 2)):
        format_predictions({"y": np.zeros(shape, np.int8)}, row_format=True)
    assert max(sizes) <= json_output._PIECE_VALUES

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfserve.client.answer_table import Table, tabulate
from tfserve.client.json_document import read_json
from tfserve.client.model_ref import ModelRef
from tfserve.client.predict_request import build_request
from tfserve.client.rest import RestClient
from tfserve.errors import RequestError
from tfserve.models.saved_model import Signature, TensorSpec

NUMBERS = TensorSpec("DT_FLOAT", (-1,))
HALF = Signature("tensorflow/serving/predict", {"x": NUMBERS}, {"y": NUMBERS})


def table_of(body: bytes, **options: Any) -> Table:
    return tabulate(read_json(body), **options)


def test_response_of_a_real_server_beside_its_request(server_url: str) -> None:
    with RestClient(server_url) as client:
        signatures = client.metadata(ModelRef("half_plus_two")).signatures
        request = build_request(signatures, values=["1", "2", "5"])
        response = client.infer("predict", ModelRef("half_plus_two"), request.body)
    table = tabulate(response.document, signature=signatures["serving_default"], request=request.body)
    assert table.columns == ("x", "y")
    assert [tuple(cell.strip("[]") for cell in row) for row in table.rows] == [("1", "2.5"), ("2", "3.0"), ("5", "4.5")]


def test_numbers_keep_all_digits() -> None:
    body = b'{"predictions": [2.0, 2, 1e-07, NaN, -Infinity, 18446744073709551615, 0.1234567, -0.0]}'
    assert [row[0] for row in table_of(body).rows] == [
        *("2.0", "2", "1e-07", "NaN", "-Infinity", "18446744073709551615", "0.1234567", "-0.0"),
    ]


def test_several_outputs_in_the_order_of_the_signature() -> None:
    known = Signature("", {"a": NUMBERS, "b": NUMBERS}, {"p": NUMBERS, "q": NUMBERS})
    body = b'{"predictions": [{"q": true, "p": "no"}, {"p": null, "q": [1, 2]}]}'
    request = b'{"instances": [{"b": 1, "a": 2}, {"b": 3, "a": 4}]}'
    assert table_of(body, signature=known, request=request) == Table(
        ("a", "b", "p", "q"), (("2", "1", "no", "true"), ("4", "3", "null", "[1, 2]"))
    )


def test_columns() -> None:
    batch = table_of(b'{"outputs": [2.5, 3.0]}', signature=HALF, request=b'{"inputs": [1, 2]}')
    assert batch == Table(("x", "y"), (("1", "2.5"), ("2", "3.0")))
    named = table_of(b'{"outputs": {"b": [1, 2], "a": [3, 4]}}')
    assert named == Table(("b", "a"), (("1", "3"), ("2", "4")))
    assert table_of(b'{"outputs": 5}', request=b'{"inputs": 4}') == Table(("input", "output"), (("4", "5"),))
    unequal = table_of(b'{"outputs": {"a": [1, 2], "b": [3]}}', request=b'{"inputs": [4]}')
    assert unequal == Table(("input", "a", "b"), (("[4]", "[1, 2]", "[3]"),))


def test_columns_without_a_batch_are_one_row() -> None:
    fixed = Signature("", {"x": TensorSpec("DT_FLOAT", (2,))}, {"y": TensorSpec("DT_FLOAT", (2,))})
    table = table_of(b'{"outputs": [1, 2]}', signature=fixed, request=b'{"inputs": [3, 4]}')
    assert table == Table(("x", "y"), (("[3, 4]", "[1, 2]"),))


def test_request_that_does_not_match_is_omitted() -> None:
    for request in (b'{"instances": [1, 2]}', b'{"instances": 1}', b'{"inputs": [1]}', b"{}", b"[]", b"{"):
        assert table_of(b'{"predictions": [1]}', request=request) == Table(("prediction",), (("1",),))


def test_large_tensors_are_abbreviated() -> None:
    flat, image, ragged = list(range(1000)), [[[0.5] * 3] * 224] * 224, [[0], [1] * 20]
    body = json.dumps({"predictions": [flat, image, ragged, [1] * 12]}).encode()
    assert [row[0] for row in table_of(body).rows] == [
        "[0, 1, 2, … 1000 values]",
        "[[[0.5, 0.5, 0.5, … 224x224x3 values]]]",
        "[[0, 1, 1, … 21 values]]",
        "[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]",
    ]


def test_many_rows_are_counted() -> None:
    table = table_of(json.dumps({"predictions": list(range(250))}).encode())
    assert (len(table.rows), table.omitted) == (100, 150)
    assert table_of(b'{"predictions": []}') == Table(("prediction",), ())


def test_control_characters_are_escaped() -> None:
    evil = "\x1b[2J\r\n\x9b\u202e"
    body = json.dumps({"predictions": [{evil: evil, "b": [evil], "c": {"b64": evil}}]}).encode()
    raw = b'{"predictions": [{"a": "\xff"}]}'
    for table in (table_of(body), table_of(raw)):
        assert all(cell.isprintable() for row in (table.columns, *table.rows) for cell in row)
    assert table_of(raw).rows == ((r"\xff",),)
    assert table_of(body).rows[0][0] == r"\x1b[2J\r\n\x9b\u202e"


def test_long_text_is_abbreviated() -> None:
    table = table_of(json.dumps({"predictions": ["a" * 1000]}).encode())
    assert table.rows == (("a" * 60 + "… 1000 characters",),)


def test_bytes_are_one_value() -> None:
    table = table_of(b'{"predictions": [{"b64": "AAEC"}]}', signature=HALF)
    assert table == Table(("y",), (('{"b64": "AAEC"}',),))


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"predictions": 5}',
        b'{"predictions": {"a": 1}}',
        b'{"error": "a"}',
        b'{"predictions": [{"a": 1}, 2]}',
        b'{"predictions": [{"a": 1}, {"b": 1}]}',
        b'{"predictions": [' + b"[" * 900 + b"]" * 900 + b"]}",
    ],
)
def test_malformed_responses(body: bytes) -> None:
    with pytest.raises(RequestError, match="not a valid predict response"):
        table_of(body)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3) | st.just("b64"), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(key=st.sampled_from(["predictions", "outputs"]), response=JSON, request_value=JSON)
def test_any_response_is_a_table_or_a_request_error(key: str, response: Any, request_value: Any) -> None:
    body = json.dumps({key: response}).encode()
    request = json.dumps({"instances": request_value, "inputs": request_value}).encode()
    try:
        table = table_of(body, signature=HALF, request=request)
    except RequestError:
        return
    assert all(len(row) == len(table.columns) for row in table.rows)

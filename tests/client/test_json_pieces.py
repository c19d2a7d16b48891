"""Large responses are parsed in pieces: with the same result, and no further than the time of the request allows."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import numpy as np
import pytest

from tfserve.client import json_arrays, json_pieces
from tfserve.client.answer_table import tabulate
from tfserve.client.arrays import bytes_array
from tfserve.client.failures import TimedOutError
from tfserve.client.json_arrays import read_outputs
from tfserve.client.json_document import read_json, read_json_text
from tfserve.client.json_pieces import parse_pieces
from tfserve.client.model_ref import ModelRef
from tfserve.client.rest import RestClient
from tfserve.client.results import read_classes, tabulate_results
from tfserve.client.transport import reply
from tfserve.errors import RequestError
from tfserve.models.saved_model import Signature, TensorSpec

from .faulty_server import responding_json

LEAVES = [1, 2.5, -3e10, True, None, "", "a,b", '"', "\\", "[", "]}{", '\\"', "é", "\U0001f600", '\\",[', 10**40]


class _OverError(Exception):
    pass


def over() -> None:
    raise _OverError


def in_pieces(body: bytes) -> Any:
    return parse_pieces(body, read_json_text, lambda piece: None, 262)


def outcome(parse: Any, body: bytes) -> str:
    try:
        return repr(parse(body))
    except ValueError:
        return "not JSON"


def some_document(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.random()
    if depth and (depth > 5 or kind < 0.35):
        return chance.choice(LEAVES)
    if kind < 0.7:
        return [some_document(chance, depth + 1) for _ in range(chance.randrange(6))]
    names = ["", "a", ",", '"', "[", f"k{chance.randrange(100)}"]
    return {chance.choice(names): some_document(chance, depth + 1) for _ in range(chance.randrange(5))}


def damaged(body: bytes, chance: random.Random) -> bytes:
    where = chance.randrange(len(body) + 1)
    return body[:where] + bytes([chance.choice(b'[]{},:"\\ 0a')]) + body[where + chance.randrange(2) :]


@pytest.mark.parametrize("size", [2, 7, 40])
def test_pieces_are_the_whole(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_pieces, "PIECE_BYTES", size)
    for seed in range(100):
        chance = random.Random(seed)
        body = json.dumps(some_document(chance), ensure_ascii=chance.random() < 0.5).encode()
        for text in (body, damaged(body, chance), body[: chance.randrange(len(body))], body + b" , 1"):
            assert outcome(in_pieces, text) == outcome(read_json, text)


@pytest.mark.parametrize(
    "text", [b"[1,]", b"[1,,2]", b"[,1]", b'{"a":1,}', b"[1,2]]", b"[1,2", b"1,2", b'["a,', b"[1}"]
)
def test_not_json(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_pieces, "PIECE_BYTES", 2)
    with pytest.raises(ValueError):
        in_pieces(text)


def test_key_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is either the last one, as in the whole document, or an error."""
    monkeypatch.setattr(json_pieces, "PIECE_BYTES", 2)
    for body in (b'{"a":[1],"b":[2],"a":[3,4]}', b'{"a":{"c":1},"b":{"c":2},"a":{"c":3,"d":4}}'):
        assert outcome(in_pieces, body) in ("not JSON", outcome(read_json, body))


@pytest.mark.parametrize(
    "body",
    [b"[" * 300 + b"1," * 9 + b"1" + b"]" * 300, b"[" * 100_000, b"[1," * 100_000, b'{"a":[0,' * 100_000],
    ids=["closed", "open", "values", "objects"],
)
def test_nested_too_deeply(body: bytes) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        in_pieces(body)


@pytest.mark.parametrize(
    "values",
    [b"1.5," * 200, b"[]," * 200, b'{"a":1},' * 200, b'"a",' * 200, b"[1.5,[2.5]]," * 100],
    ids=["numbers", "lists", "objects", "strings", "nested"],
)
def test_parsing_ends_with_the_time(values: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []

    def slow(text: str) -> Any:
        parsed.append(text)
        time.sleep(0.35)
        return read_json_text(text)

    monkeypatch.setattr(reply, "_AT_ONCE", 0)
    monkeypatch.setattr(json_pieces, "PIECE_BYTES", 100)
    monkeypatch.setattr(reply, "read_json_text", slow)
    body = b'{"predictions": [' + values + b"1]}"
    with (
        responding_json(body) as server,
        RestClient(server.url, timeout=0.3) as client,
        pytest.raises(TimedOutError, match="responded, but its response could not be read") as caught,
    ):
        client.infer("predict", ModelRef("m"), b"{}")
    assert caught.value.hint
    assert len(parsed) == 1


def test_long_strings_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """One wide character makes each character of a string take four bytes, in each copy of it."""
    monkeypatch.setattr("tfserve.client.rest.MAX_RESPONSE_MEMORY", 2**20)
    monkeypatch.setattr(reply, "_AT_ONCE", 0)
    for string in ("a" * 600_000 + "\U0001f600", rb"\ud83d\ude00".decode() + "a" * 600_000):
        with (
            responding_json(b'{"predictions": ["%s"]}' % string.encode()) as server,
            RestClient(server.url) as client,
            pytest.raises(RequestError, match="has too many values"),
        ):
            client.infer("predict", ModelRef("m"), b"{}")


def test_converting_ends_with_the_time() -> None:
    many = [0.5] * 1_100_000
    outputs = (("DT_FLOAT", many), ("DT_FLOAT", [[many]]), ("DT_STRING", ["a"] * 100_000))
    for dtype, value in outputs:
        signature = Signature("", {}, {"y": TensorSpec(dtype, None)})
        with pytest.raises(_OverError):
            read_outputs("", {"outputs": value}, signature, over)
    with pytest.raises(_OverError):
        bytes_array(["a"], "y", over)
    with pytest.raises(_OverError):
        read_classes({"results": []} | {"results": [[["a", 1.0]]]}, over)


def test_converting_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    signature = Signature("", {}, {"y": TensorSpec("DT_INT32", None)})
    monkeypatch.setattr(json_arrays, "_AT_ONCE", 5)
    for shape in ((23,), (1, 1, 23), (23, 1), (4, 6), (7, 3, 2), (2, 0), (3, 9, 2)):
        expected = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
        array = read_outputs("", {"outputs": expected.tolist()}, signature)["y"]
        assert (array.dtype, array.shape) == (expected.dtype, np.array(expected.tolist()).shape)
        np.testing.assert_array_equal(array, expected)
    ragged: list[Any] = [[[1, 2, 3]] * 3 + [[1]] * 3, [[1, 2, 3]] * 5 + [1], [[1] * 9, [1] * 8], [1] * 9 + [[1]]]
    for wrong in (*ragged, [1] * 9 + ["a"]):
        with pytest.raises(RequestError, match="not tensors of the types"):
            read_outputs("", {"outputs": wrong}, signature)


def test_tables_end_with_the_time() -> None:
    some: list[list[Any]] = [[0] * 100_000, [[]] * 100_000, [[[]]] * 100_000]
    for values in some:
        calls: list[None] = []
        tabulate({"predictions": [values]}, check=lambda calls=calls: calls.append(None))  # type: ignore[misc]
        assert len(calls) > 1
    with pytest.raises(_OverError):
        tabulate({"predictions": [1]}, check=over)


def test_cells_are_short() -> None:
    cells: tuple[Any, ...] = (
        [[]] * 100_000,
        {"a": {"b": list(range(100_000))}},
        {"b64": [{}] * 100_000},
        [{"a": ["b"] * 100_000}] * 2,
    )
    for value in cells:
        table = tabulate({"predictions": [[value]]})
        assert max(map(len, table.rows[0])) < 200
    assert tabulate({"predictions": [[{"a": [1, {"b": 2}]}]]}).rows == (('[{"a": [1, {"b": 2}]}]',),)


def test_results_beyond_the_table() -> None:
    """Only the rows that are shown are converted."""
    table = tabulate_results(
        "regress", {"results": [1.5] * 1000}, request=json.dumps({"examples": [{"x": 1}] * 1000}).encode()
    )
    assert (table.columns, len(table.rows), table.omitted) == (("x", "value"), 100, 900)

from __future__ import annotations

from typing import Any

import pytest

from tfserve.client.messages import Method
from tfserve.client.results import tabulate_results
from tfserve.errors import RequestError


def test_labels_are_escaped() -> None:
    response = {"results": [[["cat", 0.75], ["d\x1bog", 0.25]]]}
    assert tabulate_results("classify", response, request=b"{}").rows == (("cat 0.75, d\\x1bog 0.25",),)


@pytest.mark.parametrize(
    ("method", "results", "columns", "row"),
    [
        ("classify", [[["cat", 0.75], ["dog", 0.25]]], ("x", "classes"), ("1.0", "cat 0.75, dog 0.25")),
        ("classify", [[["", 0.75], ["", 3.0]]], ("x", "scores"), ("1.0", "[0.75, 3.0]")),
        ("classify", [[]], ("x", "scores"), ("1.0", "[]")),
        ("regress", [2.5], ("x", "value"), ("1.0", "2.5")),
    ],
)
def test_tables(method: Method, results: list[Any], columns: tuple[str, ...], row: tuple[str, ...]) -> None:
    table = tabulate_results(method, {"results": results}, request=b'{"examples": [{"x": 1.0}]}')
    assert (table.columns, table.rows) == (columns, (row,))


def test_examples_that_cannot_be_shown_beside_their_results() -> None:
    for request in (b"{", b"[]", b"{}", b'{"examples": 5}', b'{"examples": [{"x": 1.0}, {"y": 1.0}]}'):
        table = tabulate_results("regress", {"results": [1.0, 2.0]}, request=request)
        assert (table.columns, table.rows) == (("value",), (("1.0",), ("2.0",)))


@pytest.mark.parametrize("results", [None, 5, [], "x", [["a"]], [[["a"]]], [{"a": 1}], [[["a", "b"]]], [[["a", True]]]])
def test_malformed_responses(results: object) -> None:
    with pytest.raises(RequestError, match="not a valid classify response"):
        tabulate_results("classify", {"results": results}, request=b"{}")
    with pytest.raises(RequestError, match="not a valid regress response"):
        tabulate_results("regress", {"results": results}, request=b"{}")

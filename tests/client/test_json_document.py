from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.client.json_document import read_json, strict_json


def test_json_of_tensorflow_serving() -> None:
    document = read_json(b'{"a": ["\xff", NaN, -Infinity, 12345678901234567890, ' + b"9" * 5000 + b"]}")
    text, nan, infinity, exact, enormous = document["a"]
    assert (text, infinity, exact, enormous) == ("\udcff", -math.inf, 12345678901234567890, math.inf)
    assert math.isnan(nan)


@pytest.mark.parametrize("body", [b"", b"{", b"nan", b"[" * 100_000, b'"a', b"\xff"])
def test_invalid_json(body: bytes) -> None:
    with pytest.raises(ValueError):
        read_json(body)


def test_strict() -> None:
    document = {"a\udcff": [math.nan, math.inf, -math.inf, 1.5, 2**70, True, None], "b": {"c": "\ud800\U0001f600"}}
    assert strict_json(document) == {
        "a\ufffd": ["NaN", "Infinity", "-Infinity", 1.5, 2**70, True, None],
        "b": {"c": "\ufffd\U0001f600"},
    }


def test_depth_of_strict_json_is_limited() -> None:
    assert strict_json(read_json(b"[" * 255 + b"]" * 255))
    with pytest.raises(ValueError, match="nested too deeply"):
        strict_json(read_json(b"[" * 300 + b"]" * 300))


DOCUMENTS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=12,
)


@given(DOCUMENTS)
def test_any_document_can_be_written(document: Any) -> None:
    written = json.dumps(strict_json(document), ensure_ascii=False, allow_nan=False).encode()
    assert json.loads(written) == strict_json(document)

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.model_server.rest import json_body, json_scan
from tfserve.model_server.rest.json_scan import Scan
from tfserve.model_server.rest.limits import INLINE_BYTES, Limits
from tfserve.model_server.status import Code, StatusError

VALUES = st.recursive(
    st.none() | st.integers() | st.text('[]{},:"\\\n a', max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('\\"[,', max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(autouse=True, params=[3, 1 << 18])
def block_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads texts in tiny blocks as well, so that everything can be at the border of two."""
    monkeypatch.setattr(json_scan, "_BLOCK_BYTES", request.param)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def most_values(value: Any) -> int:
    """Counts as the scan does: a comma or a bracket is a value more, and a string three more."""
    if isinstance(value, dict):
        return 1 + sum(3 + most_values(member) for member in value.values()) + max(0, len(value) - 1)
    if isinstance(value, list):
        return 1 + sum(map(most_values, value)) + max(0, len(value) - 1)
    return 3 if isinstance(value, str) else 0


def is_within(text: bytes, **limits: int) -> bool:
    try:
        Scan(text, Limits(**limits))
    except StatusError as failure:
        assert failure.code is Code.INVALID_ARGUMENT
        return False
    return True


@given(st.lists(VALUES, max_size=3), st.booleans(), st.binary(max_size=5))
def test_values_depth_and_end_are_those_of_the_document(value: list[Any], ascii_only: bool, after: bytes) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert Scan(text + after, Limits()).end == len(text)
    assert is_within(text, json_depth=depth(value))
    assert not is_within(text, json_depth=depth(value) - 1)
    count = 1 + most_values(value)
    assert is_within(text, json_values=count)
    assert not is_within(text, json_values=count - 1)


@given(st.binary(max_size=30) | st.text('[]{},"\\', max_size=12).map(str.encode))
def test_any_bytes_are_looked_through(text: bytes) -> None:
    assert Scan(text, Limits()).end <= len(text)


def test_a_text_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_scan, "PIECE_BYTES", 1)
    for text in (b"", b"1", b'{"a": [1, 2', b'{"a": "]}'):
        scan = Scan(text, Limits())
        assert (scan.end, scan.large_lists()) == (-1, [])


def test_large_lists_are_members_of_the_root_or_of_its_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_scan, "PIECE_BYTES", 6)
    text = b'{"a": [1, 2, 3], "b": {"c": [[1, 2], [3, 4]], "d": {"e": [1, 2, 3, 4]}}, "f": [[1, 2, 3]], "g": [1]}'
    found = [text[span.start : span.end] for span in Scan(text, Limits()).large_lists()]
    assert found == [b"[1, 2, 3]", b"[[1, 2], [3, 4]]", b"[[1, 2, 3]]"]


def test_a_list_is_cut_between_its_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_scan, "PIECE_BYTES", 6)
    monkeypatch.setattr(json_scan, "_BLOCK_BYTES", 4)
    text = json.dumps({"a": [[number, "],["] for number in range(50)]}).encode()
    (span,) = Scan(text, Limits()).large_lists()
    pieces = [text[start:end] for start, end in span.pieces()]
    assert len(pieces) > 10
    assert b",".join(pieces) == text[span.start + 1 : span.end - 1]
    assert [element for piece in pieces for element in json.loads(b"[%b]" % piece)] == json.loads(text)["a"]


def test_small_bodies_are_not_looked_through_by_default() -> None:
    """They cannot exceed the default limits, and most requests are small."""
    assert json_body.check(b"[" * INLINE_BYTES, Limits()) is None
    assert json_body.check(b"[]", Limits(json_depth=1)) is not None

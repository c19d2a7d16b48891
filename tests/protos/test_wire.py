from __future__ import annotations

import mmap
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.protos.saved_model_pb2 import TensorProto
from tfserve.protos.wire import MalformedError, fields


def walked(data: bytes) -> list[tuple[int, bytes]]:
    with mmap.mmap(-1, max(1, len(data))) as mapped:
        mapped[: len(data)] = data
        found: Iterator[tuple[int, int, int]] = fields(mapped, 0, len(data))
        return [(number, mapped[start:end]) for number, start, end in found]


def test_fields_of_every_wire_type() -> None:
    message = TensorProto(dtype="DT_INT64", version_number=300, tensor_content=b"abc", double_val=[0.5], float_val=[1])
    data = message.SerializeToString(deterministic=True)
    assert [number for number, _ in walked(data)] == [1, 3, 4, 5, 6]
    assert dict(walked(data))[3] == b"\xac\x02"
    assert dict(walked(data))[4] == b"abc"
    assert walked(b"\x09" + bytes(8) + b"\x15" + bytes(4)) == [(1, bytes(8)), (2, bytes(4))]
    assert walked(b"") == []


@pytest.mark.parametrize(
    "data", [b"\x0a", b"\x0a\x02a", b"\x80", b"\x08" + b"\xff" * 10, b"\x0b", b"\x02\x00", b"\x09a"]
)
def test_bytes_that_are_not_a_message(data: bytes) -> None:
    with pytest.raises(MalformedError):
        walked(data)


@given(st.binary(max_size=60))
def test_random_bytes_are_refused_or_walked_to_the_end(data: bytes) -> None:
    try:
        found = walked(data)
    except MalformedError:
        return
    assert sum(len(value) for _, value in found) < max(1, len(data))

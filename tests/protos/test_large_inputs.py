"""Large values are left where they are, and a request means the same as if all of it was parsed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfserve.model_server.grpc.predict import GrpcPredict
from tfserve.model_server.status import StatusError
from tfserve.protos import large_inputs
from tfserve.protos.apis_pb2 import ModelSpec, PredictRequest
from tfserve.protos.dtypes import Array
from tfserve.protos.large_inputs import LARGE_BYTES, find_large_inputs
from tfserve.protos.saved_model_pb2 import DataType, TensorProto
from tfserve.protos.tensors import (
    MalformedTensorError,
    described_bytes,
    to_array,
    to_proto_content,
    to_proto_fields,
)
from tfserve.protos.wire import length_delimited

COUNT = LARGE_BYTES  # values, of one byte at least
SPEC = length_delimited(1 << 3 | 2, ModelSpec(name="m").SerializeToString())
BYTES = bytes(range(256)) * (LARGE_BYTES // 256)
FLOATS = len(BYTES) // 4


def entry(key: bytes, tensor: bytes) -> bytes:
    return length_delimited(2 << 3 | 2, length_delimited(1 << 3 | 2, key) + length_delimited(2 << 3 | 2, tensor))


def head(dtype: int, *shape: int) -> bytes:
    made = TensorProto(dtype=DataType.Name(dtype), tensor_shape={"dim": [{"size": size} for size in shape]})
    return made.SerializeToString()


def content(data: bytes, tag: int = 4 << 3 | 2) -> bytes:
    return length_delimited(tag, data)


def meaning(body: bytes, monkeypatch: pytest.MonkeyPatch, large: int) -> Any:
    """What a request means if values from `large` bytes on are left where they are."""
    monkeypatch.setattr("tfserve.model_server.grpc.predict.LARGE_BYTES", large)
    monkeypatch.setattr(large_inputs, "LARGE_BYTES", min(large, LARGE_BYTES))
    try:
        request = GrpcPredict(body, 0)
    except StatusError as failure:
        return failure.code, failure.message
    parsed, values = request._request, request._large
    assert parsed is not None
    arrays: dict[str, Any] = {}
    for alias, proto in parsed.inputs.items():
        try:
            array = to_array(proto, values.get(alias))
            arrays[alias] = (array.dtype, array.shape, array.tolist() if array.dtype == object else array.tobytes())
        except MalformedTensorError as failure:
            arrays[alias] = str(failure)
    return arrays, request.size, request.model, list(parsed.output_filter)


@pytest.mark.parametrize("to_proto", [to_proto_fields, to_proto_content])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "float16", "int8", "int64", "bool"])
def test_values_of_every_type(dtype: str, to_proto: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    array: Array = (np.arange(COUNT) % 1000).reshape(2, -1).astype(dtype)
    for key in (b"x", b"xyz", "é".encode()):  # so that the values are not aligned
        body = SPEC + entry(b"a", to_proto(np.arange(3))) + entry(key, to_proto(array)) + b"\x1a\x01y"
        found = find_large_inputs(body)
        is_raw = to_proto is to_proto_content or dtype in ("float32", "float64", "complex64", "complex128")
        assert (found is not None) == is_raw
        if found is not None:
            assert len(found.rest) < 200
            (field,) = found.values.values()
            made = to_array(PredictRequest.FromString(found.rest).inputs[key.decode()], field)
            assert np.array_equal(made, array)
            if dtype != "bool":
                assert not made.flags.writeable
                assert np.shares_memory(made, np.frombuffer(body, np.uint8))
        assert meaning(body, monkeypatch, LARGE_BYTES) == meaning(body, monkeypatch, 1 << 60)


FLOAT = head(DataType.DT_FLOAT, FLOATS)
VALUES = FLOAT + content(BYTES)
LONG_KEY = b"\x0a\x81\x00x"
UNUSUAL = {
    "two contents": entry(b"x", VALUES + content(BYTES[::-1])),
    "a small content after it": entry(b"x", VALUES + content(b"1234")),
    "an empty content after it": entry(b"x", VALUES + content(b"")),
    "floats and a content": entry(b"x", VALUES + content(BYTES[::-1], 5 << 3 | 2)),
    "a content and one float": entry(b"x", VALUES + b"\x2d\0\0\0\0"),
    "the values first": entry(b"x", content(BYTES) + FLOAT),
    "the same key again": entry(b"x", VALUES) + entry(b"x", FLOAT + content(BYTES[::-1])),
    "the same key, then small": entry(b"x", VALUES) + entry(b"x", head(DataType.DT_FLOAT)),
    "the same key, then without a value": entry(b"x", VALUES) + b"\x12\x03\x0a\x01x",
    "the same key, small before": entry(b"x", head(DataType.DT_FLOAT)) + entry(b"x", VALUES),
    "the value before the key": length_delimited(2 << 3 | 2, content(VALUES, 2 << 3 | 2) + b"\x0a\x01x"),
    "two values": length_delimited(2 << 3 | 2, b"\x0a\x01x" + 2 * content(VALUES, 2 << 3 | 2)),
    "a key twice": length_delimited(2 << 3 | 2, b"\x0a\x01x\x0a\x01y" + content(VALUES, 2 << 3 | 2)),
    "no key": length_delimited(2 << 3 | 2, content(VALUES, 2 << 3 | 2)),
    "an empty key": entry(b"", VALUES),
    "a key that is not text": entry(b"\xff", VALUES),
    "a long tag": b"\x92\x00" + entry(b"x", VALUES)[1:],
    "a long tag of the content": entry(b"x", FLOAT + b"\xa2\x00" + content(BYTES)[1:]),
    "a long length of the key": length_delimited(2 << 3 | 2, LONG_KEY + content(VALUES, 2 << 3 | 2)),
    "an unknown field": entry(b"x", VALUES + b"\xf8\x07\x01") + b"\xf8\x07\x01",
    "a group": entry(b"x", VALUES) + b"\xfb\x07\xfc\x07",
    "a number as inputs": entry(b"x", VALUES) + b"\x10\x01",
    "strings": entry(b"x", head(DataType.DT_STRING, 2) + content(b"\x01" + b"\xff\xff\x0f" + BYTES)),
    "strings as a content": entry(b"x", head(DataType.DT_STRING, LARGE_BYTES) + content(bytes(LARGE_BYTES))),
    "too few bytes": entry(b"x", head(DataType.DT_FLOAT, FLOATS + 1) + content(BYTES)),
    "floats for integers": entry(b"x", head(DataType.DT_INT32, 3) + content(BYTES, 5 << 3 | 2)),
    "floats to repeat": entry(b"x", head(DataType.DT_FLOAT, 2 * FLOATS) + content(BYTES, 5 << 3 | 2)),
    "more floats than wanted": entry(b"x", head(DataType.DT_FLOAT, 7) + content(BYTES, 5 << 3 | 2)),
    "part of a float": entry(b"x", FLOAT + content(BYTES + b"1", 5 << 3 | 2)),
    "an odd number of floats": entry(b"x", head(DataType.DT_COMPLEX64, 9) + content(BYTES + b"1234", 8 << 3 | 2)),
    "long booleans": entry(b"x", head(DataType.DT_BOOL, LARGE_BYTES) + content(b"\x80\x01" * LARGE_BYTES, 11 << 3 | 2)),
    "no elements": entry(b"x", head(DataType.DT_FLOAT, 0) + content(BYTES)),
    "a negative size": entry(b"x", head(DataType.DT_FLOAT, -1) + content(BYTES)),
    "far too large": entry(b"x", head(DataType.DT_FLOAT, 1 << 40) + content(BYTES, 5 << 3 | 2)),
    "a type without a counterpart": entry(b"x", head(DataType.DT_RESOURCE, 1) + content(BYTES)),
    "many dtypes": entry(b"x", b"\x08\x01" * 50 + VALUES),
    "several": entry(b"x", VALUES) + entry(b"y", VALUES) + entry(b"z", head(DataType.DT_FLOAT) + content(b"1234")),
    "mostly something else": entry(b"x", VALUES) + length_delimited(9 << 3 | 2, b"a" * 3 * LARGE_BYTES),
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_a_request_means_the_same(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for body in (SPEC + UNUSUAL[case], UNUSUAL[case] + SPEC, SPEC + UNUSUAL[case][:-1], SPEC + UNUSUAL[case] + b"\x12"):
        assert meaning(body, monkeypatch, LARGE_BYTES) == meaning(body, monkeypatch, 1 << 60)


def test_usual_requests_are_those_whose_values_are_left() -> None:
    for case in ("the values first", "several", "an empty key", "strings as a content", "floats to repeat"):
        assert find_large_inputs(SPEC + UNUSUAL[case]) is not None, case
    for case in ("two contents", "a group", "many dtypes", "part of a float", "long booleans", "mostly something else"):
        assert find_large_inputs(SPEC + UNUSUAL[case]) is None, case


def test_the_size_of_repeated_values_counts_all_that_are_given() -> None:
    found = find_large_inputs(SPEC + entry(b"x", head(DataType.DT_FLOAT, 8 << 20) + content(BYTES * 8, 5 << 3 | 2)))
    assert found is not None
    (tensor,) = PredictRequest.FromString(found.rest).inputs.values()
    assert described_bytes(tensor, found.values["x"]) == 32 << 20
    assert described_bytes(tensor) == 0

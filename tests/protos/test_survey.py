from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tfserve.protos.apis_pb2 import ClassificationRequest, PredictRequest
from tfserve.protos.saved_model_pb2 import DataType, TensorProto
from tfserve.protos.survey import survey

MOST = 1 << 20


def request(**values: object) -> PredictRequest:
    made = PredictRequest(model_spec={"name": "m"})
    made.inputs["x"].CopyFrom(TensorProto(**values))  # type: ignore[arg-type]
    return made


def fields(body: bytes, most: int = MOST, most_outside: int = MOST) -> int:
    return survey(body, PredictRequest, most, most_outside).fields


def test_fields_of_submessages_are_counted() -> None:
    few = fields(request(dtype=DataType.DT_STRING).SerializeToString())
    assert few == 6  # model_spec, name, inputs, key, value, dtype
    assert fields(request(dtype=DataType.DT_STRING, string_val=[b"a"] * 1000).SerializeToString()) == few + 1000
    shape = {"dim": [{"size": 2}] * 10}
    assert fields(request(dtype=DataType.DT_STRING, tensor_shape=shape).SerializeToString()) == few + 21
    assert fields(request(dtype=DataType.DT_STRING, tensor_content=b"\x42\0" * 1000).SerializeToString()) == few + 1


def test_packed_numbers_are_counted_by_their_size_in_memory() -> None:
    for name, size in (("int_val", 4), ("int64_val", 8), ("bool_val", 1), ("half_val", 4), ("uint64_val", 8)):
        body = request(**{name: [1] * 3000}).SerializeToString()
        assert survey(body, PredictRequest, MOST, MOST).number_bytes == 3000 * size, name
    body = request(int64_val=[1 << 40] * 3000).SerializeToString()
    assert survey(body, PredictRequest, MOST, MOST).number_bytes == 3000 * 8
    assert survey(request(float_val=[1.0] * 3000).SerializeToString(), PredictRequest, MOST, MOST).number_bytes == 0


def test_counting_stops() -> None:
    body = request(string_val=[b"a"] * 1000).SerializeToString()
    assert fields(body, most=999) == 1000
    assert fields(body, most_outside=1) == MOST + 1
    assert fields(body, most_outside=2) < 1010
    assert fields(b"\x1a\0" * 100, most_outside=50) == MOST + 1


def test_examples_are_counted() -> None:
    made = ClassificationRequest(input={"example_list": {"examples": [b""] * 500}})
    assert survey(made.SerializeToString(), ClassificationRequest, MOST, MOST).fields == 502


@given(st.binary(max_size=60))
def test_any_bytes_can_be_counted(body: bytes) -> None:
    assert 0 <= fields(body) <= 2 * len(body)

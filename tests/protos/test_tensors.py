from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tfserve.protos.dtypes import Array, numpy_dtype
from tfserve.protos.saved_model_pb2 import DataType, TensorProto
from tfserve.protos.tensors import (
    MalformedTensorError,
    to_array,
    to_proto_content,
    to_proto_fields,
)

NUMBERS = (
    *("float32", "float64", "float16", "complex64", "complex128", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)
WRITERS = pytest.mark.parametrize("to_proto", [to_proto_fields, to_proto_content])


def proto(dtype: str, shape: list[int], **values: Any) -> TensorProto:
    made = TensorProto(dtype=dtype, **values)
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


@WRITERS
@given(
    st.sampled_from(NUMBERS).flatmap(
        lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    )
)
def test_numbers_are_converted_without_loss(to_proto: Callable[[Array], bytes], array: Any) -> None:
    back = to_array(TensorProto.FromString(to_proto(array)))
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()  # also every bit of NaN


@WRITERS
@given(st.lists(st.lists(st.binary(max_size=300), min_size=2, max_size=2), max_size=4))
def test_strings_are_converted_without_loss(to_proto: Callable[[Array], bytes], texts: list[list[bytes]]) -> None:
    array: Any = np.empty((len(texts), 2), np.object_)
    for row, text in enumerate(texts):
        array[row] = text
    assert to_array(TensorProto.FromString(to_proto(array))).tolist() == texts


@WRITERS
def test_bfloat16(to_proto: Callable[[Array], bytes]) -> None:
    array = np.array([1.5, -np.inf, 3], numpy_dtype(DataType.DT_BFLOAT16))
    made = TensorProto.FromString(to_proto(array))
    assert made.dtype == DataType.DT_BFLOAT16
    assert to_array(made).tolist() == array.tolist()


@WRITERS
def test_arrays_that_are_not_contiguous(to_proto: Callable[[Array], bytes]) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1)
    np.testing.assert_array_equal(to_array(TensorProto.FromString(to_proto(array))), array)


def test_values_are_in_the_field_of_their_type() -> None:
    made = TensorProto.FromString(to_proto_fields(np.array([[1, -1]], np.int8)))
    assert list(made.int_val) == [1, -1]
    assert [dim.size for dim in made.tensor_shape.dim] == [1, 2]
    assert made.tensor_content == b""
    made = TensorProto.FromString(to_proto_fields(np.array(1.5, np.float16)))
    assert list(made.half_val) == [0x3E00]
    assert made.HasField("tensor_shape")
    made = TensorProto.FromString(to_proto_content(np.array([1], np.int32)))
    assert made.tensor_content == b"\1\0\0\0"
    assert not made.int_val


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (proto("DT_FLOAT", [4], float_val=[1, 2]), [1.0, 2.0, 2.0, 2.0]),
        (proto("DT_FLOAT", [2, 2]), [[0.0, 0.0], [0.0, 0.0]]),
        (proto("DT_FLOAT", [2], float_val=[1, 2, 3]), [1.0, 2.0]),
        (proto("DT_FLOAT", [], float_val=[3]), 3.0),
        (proto("DT_FLOAT", [0], float_val=[3]), []),
        (proto("DT_FLOAT", [1], double_val=[3]), [0.0]),
        (proto("DT_FLOAT", [1], tensor_content=b"\0\0\x80?", float_val=[3]), [1.0]),
        (proto("DT_STRING", [3], string_val=[b"a", b"b"]), [b"a", b"b", b"b"]),
        (proto("DT_STRING", [2]), [b"", b""]),
        (proto("DT_STRING", [2], tensor_content=b"\1\2abc"), [b"a", b"bc"]),
        (proto("DT_UINT8", [2], int_val=[257, -1]), [1, 255]),
        (proto("DT_HALF", [2], half_val=[0x3C00]), [1.0, 1.0]),
        (proto("DT_COMPLEX64", [2], scomplex_val=[1, 2, 3]), [1 + 2j, 1 + 2j]),
        (proto("DT_BOOL", [2], bool_val=[True]), [True, True]),
        (proto("DT_BOOL", [3], tensor_content=b"\0\1\2"), [False, True, True]),
        (proto("DT_UINT64", [1], uint64_val=[(1 << 64) - 1]), [(1 << 64) - 1]),
    ],
)
def test_the_meaning_of_values(given: TensorProto, expected: object) -> None:
    assert to_array(given).tolist() == expected


def unknown_rank() -> TensorProto:
    made = proto("DT_FLOAT", [])
    made.tensor_shape.unknown_rank = True
    return made


@pytest.mark.parametrize(
    "given",
    [
        unknown_rank(),
        proto("DT_FLOAT", [-1]),
        proto("DT_FLOAT", [1 << 62, 1 << 62]),
        proto("DT_FLOAT", [1 << 62, 0, 1 << 62]),
        proto("DT_FLOAT", [1] * 200),
        proto("DT_FLOAT", [2], tensor_content=b"1234567"),
        proto("DT_STRING", [2], tensor_content=b"\1\2ab"),
        proto("DT_STRING", [2], tensor_content=b"\xff\xff"),
        proto("DT_STRING", [1 << 40], tensor_content=b"a"),
        proto("DT_STRING", [1 << 30], string_val=[b"a" * 1000]),
        proto("DT_FLOAT", [1 << 40], float_val=[1]),
        proto("DT_FLOAT", [1 << 30]),
        proto("DT_INVALID", [1]),
        proto("DT_RESOURCE", [1]),
        TensorProto.FromString(b"\x08\xe7\x07"),  # type 999
    ],
)
def test_malformed_tensors(given: TensorProto) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MalformedTensorError):
        to_array(given)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes


@given(st.binary(max_size=60))
def test_any_message_is_a_tensor_or_refused(data: bytes) -> None:
    try:
        made = TensorProto.FromString(data)
    except Exception:
        return
    try:
        array = to_array(made)
    except MalformedTensorError:
        return
    assert list(array.shape) == [dim.size for dim in made.tensor_shape.dim]


def test_package_for_bfloat16_is_imported_when_it_is_needed() -> None:
    """It takes time to import, and few models need it."""
    program = "import sys, tfserve.protos.tensors; print('ml_dtypes' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

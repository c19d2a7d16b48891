"""Converts ``TensorProto`` to NumPy and back, by the rules of TensorFlow's own tensors.

Sources: ``Tensor::FromProto``, ``Tensor::AsProtoField`` and ``Tensor::AsProtoTensorContent`` of
``tensorflow/core/framework/tensor.cc``, ``TensorShape::IsValid`` of ``tensor_shape.cc``, and the encoding of lists of
strings of ``tensor_coding.cc``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tfserve.protos.dtypes import DT_STRING, MAX_RANK, Array, NoNumpyDtypeError, data_type, numpy_dtype
from tfserve.protos.saved_model_pb2 import DataType, TensorProto, TensorShapeProto
from tfserve.protos.wire import length_delimited, varint

MAX_REPEATED_BYTES = 16 << 20
"""Size of the largest tensor that a message can describe without listing each of its values."""

_DT_BOOL: int = DataType.DT_BOOL
_MAX_INT64 = (1 << 63) - 1
_FEW_VALUES = 32
_CONTENT_TAG = 4 << 3 | 2  # field 4 of TensorProto, length-delimited


_SMALL_BYTES = 1 << 13

Part = bytes | memoryview
"""A part of a serialized message; a view is one of bytes."""


class MalformedTensorError(Exception):
    """A ``TensorProto`` that is not a valid tensor."""


class _Values(NamedTuple):
    """How a dtype is written in the repeated fields of ``TensorProto``.

    Attributes:
        field: the field's name.
        wire: the dtype of the field's values.
        tag: the tag of the packed field, if its bytes are those of the array; None if each value is a varint.
    """

    field: str
    wire: np.dtype[Any]
    tag: int | None = None


def _raw(field: str, wire: type[np.generic]) -> _Values:
    number = TensorProto.DESCRIPTOR.fields_by_name[field].number
    return _Values(field, np.dtype(wire), number << 3 | 2)


_INT_VAL = _Values("int_val", np.dtype(np.int32))
_HALF_VAL = _Values("half_val", np.dtype(np.int32))

_VALUES: dict[int, _Values] = {
    DataType.DT_FLOAT: _raw("float_val", np.float32),
    DataType.DT_DOUBLE: _raw("double_val", np.float64),
    DataType.DT_COMPLEX64: _raw("scomplex_val", np.float32),
    DataType.DT_COMPLEX128: _raw("dcomplex_val", np.float64),
    DataType.DT_BOOL: _raw("bool_val", np.bool_),
    DataType.DT_INT64: _Values("int64_val", np.dtype(np.int64)),
    DataType.DT_UINT64: _Values("uint64_val", np.dtype(np.uint64)),
    DataType.DT_UINT32: _Values("uint32_val", np.dtype(np.uint32)),
    DataType.DT_HALF: _HALF_VAL,
    DataType.DT_BFLOAT16: _HALF_VAL,
    **dict.fromkeys(
        (DataType.DT_INT32, DataType.DT_INT16, DataType.DT_INT8, DataType.DT_UINT16, DataType.DT_UINT8), _INT_VAL
    ),
}


ITEM_BYTES_OF_TAG = {
    _CONTENT_TAG: 1,
    **{
        values.tag: values.wire.itemsize
        for values in _VALUES.values()
        if values.tag is not None and values.wire != np.bool_  # whose values may take several bytes
    },
}
"""Tags of the fields of ``TensorProto`` that can be a `LargeField`: the size of a value in bytes."""


class LargeField(NamedTuple):
    """The values of a tensor that are not in its ``TensorProto``, but where the message was received.

    Attributes:
        tag: that of the field from which they were taken, the only one of `ITEM_BYTES_OF_TAG` in the tensor.
        values: the bytes of the field.
    """

    tag: int
    values: memoryview


_ITEM_BYTES = {
    DT_STRING: 32,  # as in `_filled`
    DataType.DT_BFLOAT16: 2,  # `numpy_dtype` would import a package for it
    **{dtype: numpy_dtype(dtype).itemsize for dtype in _VALUES if dtype != DataType.DT_BFLOAT16},
}
_MOST_EXPANDED = 32  # a string of no bytes takes two bytes in a message


def to_array(proto: TensorProto, large: LargeField | None = None) -> Array:
    """Returns the tensor that `proto` describes as a read-only array; strings as objects of type bytes.

    If it has fewer values than elements, the last value is repeated; without any value, all elements are zero or the
    empty string.

    Args:
        proto: the tensor.
        large: its values, if they are not in `proto`; the array may share their memory.

    Raises:
        MalformedTensorError: its shape is incomplete, its content does not match its shape, its type has no NumPy
            counterpart, or it describes more than MAX_REPEATED_BYTES without listing each value.
    """
    dtype: int = proto.dtype
    try:
        target = numpy_dtype(dtype)
    except NoNumpyDtypeError as error:
        raise MalformedTensorError(str(error)) from None
    shape = _shape_of(proto.tensor_shape)
    size = math.prod(shape)
    content = large.values if large is not None and large.tag == _CONTENT_TAG else proto.tensor_content
    if size == 0:
        flat: Array = np.empty(0, target)
    elif dtype == DT_STRING:
        flat = _objects(_split(bytes(content), size) if content else _filled(proto.string_val[:size], size, b""))
    elif content:
        if len(content) != size * target.itemsize:
            raise MalformedTensorError(f"{len(content)} bytes of content for {size} values of {target.itemsize} bytes")
        flat = np.frombuffer(content, target)
        if dtype == _DT_BOOL:
            flat = flat.view(np.uint8) != 0  # any other byte means true
    else:
        flat = _repeated(_given(proto, _VALUES[dtype], large), _VALUES[dtype], target, size)
    return flat.reshape(shape)


def described_bytes(proto: TensorProto, large: LargeField | None = None) -> int:
    """Returns the size of the array that `to_array` makes, 0 if it refuses to; strings without their characters."""
    dims = proto.tensor_shape.dim
    if len(dims) > MAX_RANK or proto.dtype not in _ITEM_BYTES:
        return 0
    size: int = math.prod([dim.size for dim in dims]) * _ITEM_BYTES[proto.dtype]
    message_bytes = proto.ByteSize() + (len(large.values) if large is not None else 0)
    listed = size <= MAX_REPEATED_BYTES or size <= _MOST_EXPANDED * message_bytes
    return size if listed and size > 0 else 0


def fields_parts(array: Array) -> list[Part]:
    """Returns the parts of a serialized ``TensorProto`` with the values of `array` in the repeated field of their type.

    A large array is one of the parts, so that it is copied once, when they are joined.
    """
    dtype = data_type(array.dtype)
    head = _head(dtype, array.shape)
    if array.size == 0:
        return [head]
    if dtype == DT_STRING:
        return [head, TensorProto(string_val=array.ravel().tolist()).SerializeToString()]
    field, _, tag = _VALUES[dtype]
    if tag is not None:
        return [head, *_raw_field(tag, array)]
    if field == "half_val":
        array = array.view(np.uint16)
    values = TensorProto()
    getattr(values, field).extend(array.ravel().tolist())
    return [head, values.SerializeToString()]


def content_parts(array: Array) -> list[Part]:
    """Returns the same with the values of `array` in ``tensor_content``."""
    dtype = data_type(array.dtype)
    head = _head(dtype, array.shape)
    if array.size == 0:
        return [head]
    if dtype != DT_STRING:
        return [head, *_raw_field(_CONTENT_TAG, array)]
    texts = array.ravel().tolist()
    return [head, length_delimited(_CONTENT_TAG, b"".join([*(varint(len(text)) for text in texts), *texts]))]


ToParts = Callable[[Array], list[Part]]
"""`fields_parts` or `content_parts`."""


def to_proto_fields(array: Array) -> bytes:
    """Returns a serialized ``TensorProto`` with the values of `array` in the repeated field of their type."""
    return b"".join(fields_parts(array))


def to_proto_content(array: Array) -> bytes:
    """Returns a serialized ``TensorProto`` with the values of `array` in ``tensor_content``."""
    return b"".join(content_parts(array))


def _raw_field(tag: int, array: Array) -> list[Part]:
    """Returns the parts of a field with the bytes of an array."""
    if array.nbytes <= _SMALL_BYTES:
        return [length_delimited(tag, array.tobytes())]
    return [bytes((tag,)) + varint(array.nbytes), np.ascontiguousarray(array).reshape(-1).view(np.uint8).data]


def _shape_of(proto: TensorShapeProto) -> tuple[int, ...]:
    if proto.unknown_rank:
        raise MalformedTensorError("its rank is unknown")
    shape = tuple([dim.size for dim in proto.dim])
    if len(shape) > MAX_RANK:
        raise MalformedTensorError(f"it has {len(shape)} dimensions, more than {MAX_RANK}")
    # NumPy stores strides in bytes, even for an empty array.
    if shape and (min(shape) < 0 or math.prod([size or 1 for size in shape]) > _MAX_INT64 // 16):
        raise MalformedTensorError(f"its shape is {list(shape)}")
    return shape


def _given(proto: TensorProto, values: _Values, large: LargeField | None) -> Array:
    """Returns the values of the field for values of this type."""
    if large is not None and large.tag == values.tag:
        return np.frombuffer(large.values, values.wire)
    field = getattr(proto, values.field)
    count = len(field)
    # NumPy copies a whole field quickly, but takes some time to detect that it can.
    return np.fromiter(field, values.wire, count) if count <= _FEW_VALUES else np.array(field, values.wire)


def _repeated(given: Array, values: _Values, target: np.dtype[Any], size: int) -> Array:
    """Returns `size` elements from the values that are given in the field for this type."""
    if target.kind == "c":
        given = given[: len(given) // 2 * 2].view(target)
    elif values is _HALF_VAL:
        given = given.astype(np.uint16).view(target)
    elif given.dtype != target:
        given = given.astype(target)  # keeps the low bits, like a cast in C
    if len(given) == size:
        return given
    if len(given) > size:
        return given[:size]
    _refuse_large(size * target.itemsize)
    filled = np.zeros(size, target)
    if len(given):
        filled[: len(given)] = given
        filled[len(given) :] = given[-1]
    return filled


def _filled(given: list[bytes], size: int, default: bytes) -> list[bytes]:
    if len(given) < size:
        last = given[-1] if given else default
        _refuse_large((size - len(given)) * (len(last) + 32))  # 24 for TensorFlow's string, 8 for NumPy's reference
        given = given + [last] * (size - len(given))
    return given


def _refuse_large(size: int) -> None:
    if size > MAX_REPEATED_BYTES:
        raise MalformedTensorError(f"{size} bytes of repeated values are more than {MAX_REPEATED_BYTES}")


def _objects(values: list[bytes]) -> Array:
    array: Array = np.empty(len(values), np.object_)
    array[:] = values
    return array


def _split(content: bytes, count: int) -> list[bytes]:
    """Returns the strings of a ``tensor_content``: first the length of each as a varint, then all their bytes."""
    if count > len(content):
        raise MalformedTensorError(f"{len(content)} bytes of content for {count} strings")
    lengths = []
    position = 0
    for _ in range(count):
        length = shift = 0
        while True:
            if position >= len(content) or shift > 28:
                raise MalformedTensorError("the lengths of its strings are truncated")
            byte = content[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        lengths.append(length)
    if position + sum(lengths) != len(content):
        raise MalformedTensorError("the lengths of its strings do not match its content")
    texts = []
    for length in lengths:
        texts.append(content[position : position + length])
        position += length
    return texts


@functools.lru_cache(maxsize=1024)
def _head(dtype: int, shape: tuple[int, ...]) -> bytes:
    """Returns a serialized ``TensorProto`` without values."""
    proto = TensorProto(dtype=DataType.Name(dtype))
    proto.tensor_shape.SetInParent()
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    head: bytes = proto.SerializeToString()
    return head

"""NumPy arrays to ``TF_Tensor`` and back, each way with one copy of the values.

Strings are arrays of dtype object that hold bytes. TensorFlow may keep a tensor that it was fed longer than the call
that fed it, and an output may share memory with a variable, so nothing here lives in memory of the other side.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfserve.model_server.runtime import c_api
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.saved_model_pb2 import DataType

Array = NDArray[Any]

_NUMPY_DTYPES: dict[int, type[np.generic]] = {
    DataType.DT_FLOAT: np.float32,
    DataType.DT_DOUBLE: np.float64,
    DataType.DT_INT32: np.int32,
    DataType.DT_UINT8: np.uint8,
    DataType.DT_INT16: np.int16,
    DataType.DT_INT8: np.int8,
    DataType.DT_STRING: np.object_,
    DataType.DT_COMPLEX64: np.complex64,
    DataType.DT_INT64: np.int64,
    DataType.DT_BOOL: np.bool_,
    DataType.DT_UINT16: np.uint16,
    DataType.DT_COMPLEX128: np.complex128,
    DataType.DT_HALF: np.float16,
    DataType.DT_UINT32: np.uint32,
    DataType.DT_UINT64: np.uint64,
}

DT_STRING: int = DataType.DT_STRING  # a plain number; the enum looks its members up each time

MAX_RANK = 32
"""Most dimensions of a tensor in a request; NumPy takes no more than 64."""

_TF_STRING_BYTES = 24  # sizeof(TF_TString)
_SMALL_BYTES = 1 << 13


@functools.cache
def numpy_dtype(dtype: int) -> np.dtype[Any]:
    """Returns the NumPy dtype for a number of TensorFlow's ``DataType``; object stands for strings.

    Raises:
        StatusError: UNIMPLEMENTED, for types that have no counterpart, such as resources.
    """
    if dtype == DataType.DT_BFLOAT16:
        import ml_dtypes  # only the models that need it pay for it

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    if dtype not in _NUMPY_DTYPES:
        raise StatusError(Code.UNIMPLEMENTED, f"Tensors of type {dtype_name(dtype)} are not supported")
    return np.dtype(_NUMPY_DTYPES[dtype])


@functools.cache
def data_type(dtype: np.dtype[Any]) -> int:
    """Returns the number of TensorFlow's ``DataType`` for a dtype that `numpy_dtype` gave."""
    for number, known in _NUMPY_DTYPES.items():
        if known is dtype.type:
            return number
    return DataType.DT_BFLOAT16


@functools.cache
def dtype_name(dtype: int) -> str:
    """Returns TensorFlow's name for a ``DataType``, such as ``float`` for DT_FLOAT."""
    value = DataType.DESCRIPTOR.values_by_number.get(dtype)
    return value.name.removeprefix("DT_").lower() if value else f"unknown ({dtype})"


def new_tensor(array: Array, dtype: int) -> int:
    """Returns the handle of a new tensor that holds a copy of `array`; whoever gets it deletes it.

    Args:
        array: any shape; its dtype is ``numpy_dtype(dtype)``, and its elements are bytes if that is object.
        dtype: a number of TensorFlow's ``DataType``.

    Raises:
        StatusError: RESOURCE_EXHAUSTED when there is no memory for it.
    """
    tf = c_api.library()
    shape = array.shape
    dims = (ctypes.c_int64 * len(shape))(*shape)
    is_string = dtype == DT_STRING
    size = array.size * _TF_STRING_BYTES if is_string else array.nbytes
    handle: int | None = tf.TF_AllocateTensor(dtype, dims, len(shape), size)
    if handle is None:
        raise StatusError(Code.RESOURCE_EXHAUSTED, f"No memory for a tensor of {size} bytes")
    address = tf.TF_TensorData(handle)
    if is_string:
        for text in array.flat:
            tf.TF_StringInit(address)
            tf.TF_StringCopy(address, text, len(text))
            address += _TF_STRING_BYTES
    elif size:
        array = np.ascontiguousarray(array)
        # NumPy takes longer to tell a small array's address than to copy it.
        ctypes.memmove(address, array.tobytes() if size <= _SMALL_BYTES else array.ctypes.data, size)
    return handle


def take_tensor(handle: int) -> Array:
    """Returns the values of a tensor, read-only, and deletes it.

    Raises:
        StatusError: UNIMPLEMENTED for a type without a NumPy counterpart.
    """
    tf = c_api.library()
    dtype = tf.TF_TensorType(handle)
    try:
        target = numpy_dtype(dtype)
        shape = tuple([tf.TF_Dim(handle, axis) for axis in range(tf.TF_NumDims(handle))])
        address = tf.TF_TensorData(handle)
        if dtype == DT_STRING:
            return _strings(address, shape)
        size = tf.TF_TensorByteSize(handle)
        data = ctypes.string_at(address, size) if size else b""
        return np.frombuffer(data, target).reshape(shape)
    finally:
        tf.TF_DeleteTensor(handle)


def _strings(address: int, shape: tuple[int, ...]) -> Array:
    tf = c_api.library()
    array = np.empty(shape, np.object_)
    values = []
    for _ in range(array.size):
        values.append(ctypes.string_at(tf.TF_StringGetDataPointer(address), tf.TF_StringGetSize(address)))
        address += _TF_STRING_BYTES
    array.reshape(-1)[:] = values
    return array

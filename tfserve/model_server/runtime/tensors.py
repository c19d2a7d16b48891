"""Converts NumPy arrays to ``TF_Tensor`` and back, each with one copy of the values.

Strings are arrays of dtype object whose elements are bytes. TensorFlow may keep a fed tensor longer than the call, and
an output may share memory with a variable, so neither side uses memory of the other.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np

from tfserve.model_server.runtime import c_api
from tfserve.model_server.status import Code, StatusError
from tfserve.protos import dtypes
from tfserve.protos.dtypes import DT_STRING, Array

_TF_STRING_BYTES = 24  # sizeof(TF_TString)
_SMALL_BYTES = 1 << 13
_MAX_C_INT = (1 << 31) - 1  # the largest size that ctypes.string_at accepts


@functools.cache
def numpy_dtype(dtype: int) -> np.dtype[Any]:
    """Returns the NumPy dtype for a number of TensorFlow's ``DataType``; it is object for strings.

    Raises:
        StatusError: UNIMPLEMENTED, the type has no counterpart; for example, resources have none.
    """
    try:
        return dtypes.numpy_dtype(dtype)
    except dtypes.NoNumpyDtypeError as error:
        raise StatusError(Code.UNIMPLEMENTED, str(error)) from None


def new_tensor(array: Array, dtype: int) -> int:
    """Returns the handle of a new tensor with a copy of `array`; the caller deletes it.

    Args:
        array: any shape; its dtype is ``numpy_dtype(dtype)``, and its elements are bytes if that is object.
        dtype: a number of TensorFlow's ``DataType``.

    Raises:
        StatusError: RESOURCE_EXHAUSTED, the memory for it cannot be allocated.
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
        # For a small array, NumPy takes longer to return its address than to copy it.
        ctypes.memmove(address, array.tobytes() if size <= _SMALL_BYTES else array.ctypes.data, size)
    return handle


def take_tensor(handle: int) -> Array:
    """Returns the values of a tensor, read-only, and deletes it.

    Raises:
        StatusError: UNIMPLEMENTED, the type has no NumPy counterpart.
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
        return np.frombuffer(_bytes_at(address, size), target).reshape(shape)
    finally:
        tf.TF_DeleteTensor(handle)


def _strings(address: int, shape: tuple[int, ...]) -> Array:
    tf = c_api.library()
    array = np.empty(shape, np.object_)
    values = []
    for _ in range(array.size):
        values.append(_bytes_at(tf.TF_StringGetDataPointer(address), tf.TF_StringGetSize(address)))
        address += _TF_STRING_BYTES
    array.reshape(-1)[:] = values
    return array


def _bytes_at(address: int, size: int) -> bytes:
    """Returns a copy of memory."""
    if size == 0:
        return b""
    if size <= _MAX_C_INT:
        return ctypes.string_at(address, size)
    return bytes((ctypes.c_char * size).from_address(address))

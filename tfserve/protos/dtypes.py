"""TensorFlow's ``DataType`` numbers and their NumPy dtypes."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

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

DT_STRING: int = DataType.DT_STRING  # a plain int, because the enum looks its members up each time

MAX_RANK = 32
"""Maximum number of dimensions of a tensor in a request; NumPy supports at most 64."""


class NoNumpyDtypeError(ValueError):
    """A ``DataType`` that has no counterpart in NumPy, such as that of resources."""


@functools.cache
def numpy_dtype(dtype: int) -> np.dtype[Any]:
    """Returns the NumPy dtype for a number of TensorFlow's ``DataType``; it is object for strings.

    Raises:
        NoNumpyDtypeError: the type has no NumPy dtype.
    """
    if dtype == DataType.DT_BFLOAT16:
        import ml_dtypes  # imported here, as few models need it

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    if dtype not in _NUMPY_DTYPES:
        raise NoNumpyDtypeError(f"Tensors of type {dtype_name(dtype)} are not supported")
    return np.dtype(_NUMPY_DTYPES[dtype])


@functools.cache
def data_type(dtype: np.dtype[Any]) -> int:
    """Returns the number of TensorFlow's ``DataType`` for a dtype that `numpy_dtype` returned."""
    for number, known in _NUMPY_DTYPES.items():
        if known is dtype.type:
            return number
    return DataType.DT_BFLOAT16


@functools.cache
def dtype_name(dtype: int) -> str:
    """Returns TensorFlow's name for a ``DataType``, such as ``float`` for DT_FLOAT."""
    value = DataType.DESCRIPTOR.values_by_number.get(dtype)
    return value.name.removeprefix("DT_").lower() if value else f"unknown ({dtype})"

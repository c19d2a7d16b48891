"""From what a program has, lists, numbers, text or NumPy arrays, to the arrays that a signature's inputs are.

Strings are arrays of dtype object that hold bytes, as TensorFlow has them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfserve.client.examples import describe_inputs
from tfserve.client.shapes import shape_text
from tfserve.client.values import shorten
from tfserve.errors import UsageError
from tfserve.models.saved_model import Signature, TensorSpec
from tfserve.protos.dtypes import Array, NoNumpyDtypeError, numpy_dtype
from tfserve.protos.saved_model_pb2 import DataType
from tfserve.text import did_you_mean, printable

__all__ = ["bytes_array", "dtype_of", "encoded_text", "input_arrays"]


def input_arrays(inputs: Any, signature: Signature) -> dict[str, Array]:
    """Returns the inputs of a request by name, each with the dtype that `signature` says.

    An input that is missing is the server's to judge, as it may have a default.

    Args:
        inputs: a mapping from names to arrays, or to what `numpy.asarray` makes one of; or the only input itself.
        signature: what is asked.

    Raises:
        UsageError: they do not fit `signature`, whose inputs are in the details.
    """
    try:
        known = signature.inputs
        if isinstance(inputs, Mapping):
            for name in inputs:
                if name not in known:
                    raise UsageError(
                        f"The signature has no input {shorten(name)}.", hint=did_you_mean(str(name), known)
                    )
            return {name: _array(value, name, known[name]) for name, value in inputs.items()}
        if len(known) != 1:
            raise UsageError(f"The signature has {len(known)} inputs.", hint="Give them by name, in a dict.")
        ((name, spec),) = known.items()
        return {name: _array(inputs, name, spec)}
    except UsageError as error:
        error.details = describe_inputs(signature)
        raise


@functools.cache
def dtype_of(name: str) -> np.dtype[Any]:
    """Returns the NumPy dtype of a type by its name, such as ``DT_FLOAT``; object for strings.

    Raises:
        UsageError: NumPy has none.
    """
    try:
        return numpy_dtype(DataType.Value(name))
    except (NoNumpyDtypeError, ValueError):
        raise UsageError(f"NumPy has no arrays of {printable(name)}.") from None


def bytes_array(value: Any, name: str) -> Array:
    """Returns text and bytes, nested as one likes, as an array of bytes.

    Args:
        value: str, bytes, nested lists of them, or an array.
        name: of what, for the error.

    Raises:
        UsageError: something else is in it, or it is not rectangular.
    """
    array = np.asarray(value, np.object_)  # never without the dtype: NumPy's own takes trailing zeros off
    encoded: Array = np.empty(array.size, np.object_)
    for position, item in enumerate(array.ravel().tolist()):
        encoded[position] = encoded_text(item, name)
    return encoded.reshape(array.shape)


def encoded_text(value: Any, name: str) -> bytes:
    """Returns str or bytes as bytes, where bytes that are no UTF-8 may be kept as "surrogateescape" keeps them.

    Raises:
        UsageError: it is neither, or not Unicode; `name` says of what.
    """
    if isinstance(value, str):
        try:
            return value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise UsageError(f"{printable(name)} holds text that is not valid Unicode.") from None
    if not isinstance(value, bytes):
        raise UsageError(f"{printable(name)} holds {shorten(value)}, which is neither str nor bytes.")
    return value


def _array(value: Any, name: str, spec: TensorSpec) -> Array:
    dtype = dtype_of(spec.dtype)
    if dtype.kind == "O":
        array = bytes_array(value, name)
    else:
        array = value if isinstance(value, np.ndarray) and value.dtype == dtype else _numbers(value, name, dtype)
    _check_shape(array, name, spec)
    return array


def _numbers(value: Any, name: str, dtype: np.dtype[Any]) -> Array:
    """Returns `value` as an array of `dtype`, if no number changes but by rounding."""
    try:
        array = np.asarray(value)
        if dtype.kind in "iu" and array.dtype.kind in "fO" and not isinstance(value, np.ndarray):
            array = _integers(value, array)
    except (ValueError, TypeError, OverflowError):
        raise UsageError(f"{printable(name)} is not rectangular: lists of one level differ in length.") from None
    if not _fits_kind(array, dtype):
        held = {"U": "text", "S": "bytes", "O": "objects"}.get(array.dtype.kind, array.dtype)
        raise UsageError(f"{printable(name)} holds {held}, which is not {dtype}.")
    with np.errstate(all="ignore"):
        converted = array.astype(dtype)
        if dtype.kind in "iu":
            changed = array.size and not np.array_equal(converted, array)
        else:
            changed = dtype.kind == "f" and not np.array_equal(np.isinf(converted), np.isinf(array))
    if changed:
        raise UsageError(f"{printable(name)} holds numbers out of the range of {dtype}.")
    return converted


def _integers(value: Any, array: Array) -> Array:
    """Returns `array`, made of `value`, exactly: NumPy makes floats or objects of integers from 2^63 on."""
    exact: Array = np.asarray(value, np.object_)
    if not all(type(item) is int and -(2**63) <= item < 2**64 for item in exact.ravel()):
        return array
    return exact.astype(np.int64 if min(exact.ravel(), default=0) < 0 else np.uint64)


def _fits_kind(array: Array, dtype: np.dtype[Any]) -> bool:
    """Returns whether the numbers of `array` are of a kind that `dtype` takes; an empty one can be of any."""
    if dtype.kind == "b":
        return array.dtype.kind == "b" or array.size == 0
    if dtype.kind in "iu":
        return array.dtype.kind in "iu" or array.size == 0
    return array.dtype.kind in ("iufc" if dtype.kind == "c" else "iuf") or array.dtype == dtype


def _check_shape(array: Array, name: str, spec: TensorSpec) -> None:
    wanted = spec.shape
    if wanted is None:
        return
    if len(wanted) == array.ndim and all(size in (-1, given) for size, given in zip(wanted, array.shape, strict=True)):
        return
    hint = "A single instance is a batch of one: put it into a list." if array.ndim == len(wanted) - 1 else None
    raise UsageError(
        f"{printable(name)} has the shape {array.shape}, but the input takes {shape_text(wanted)}.", hint=hint
    )

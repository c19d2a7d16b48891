"""Converts Python values (lists, numbers, text or NumPy arrays) to arrays for the inputs of a signature.

As in TensorFlow, string arrays have dtype object and contain bytes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
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

_ITEMS_BETWEEN_CHECKS = 2**16


def input_arrays(inputs: Any, signature: Signature) -> dict[str, Array]:
    """Returns the inputs of a request by name, with the dtypes in `signature`.

    A missing input is not an error, as the model may have a default for it.

    Args:
        inputs: a mapping from names to arrays, or to values that `numpy.asarray` accepts; or the only input itself.
        signature: the signature of the request.

    Raises:
        UsageError: the inputs do not match `signature`, whose inputs are in the details.
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
            raise UsageError(f"The signature has {len(known)} inputs.", hint="Pass the inputs by name, in a dict.")
        ((name, spec),) = known.items()
        return {name: _array(inputs, name, spec)}
    except UsageError as error:
        error.details = describe_inputs(signature)
        raise


@functools.cache
def dtype_of(name: str) -> np.dtype[Any]:
    """Returns the NumPy dtype for the name of a type, such as ``DT_FLOAT``; object for strings.

    Raises:
        UsageError: NumPy has no such dtype.
    """
    try:
        return numpy_dtype(DataType.Value(name))
    except (NoNumpyDtypeError, ValueError):
        raise UsageError(f"NumPy has no dtype for {printable(name)}.") from None


def bytes_array(value: Any, name: str, check: Callable[[], None] = lambda: None) -> Array:
    """Returns text and bytes as an array of bytes.

    Args:
        value: str, bytes, nested lists of them, or an array.
        name: the name of the input, for errors.
        check: is called now and then; what it raises ends the conversion.

    Raises:
        UsageError: `value` contains something else, or is not rectangular.
    """
    array = np.asarray(value, np.object_)  # with NumPy's own dtype for bytes, trailing zeros would be lost
    encoded: Array = np.empty(array.size, np.object_)
    items = array.ravel().tolist()
    for start in range(0, len(items), _ITEMS_BETWEEN_CHECKS):
        check()
        for position, item in enumerate(items[start : start + _ITEMS_BETWEEN_CHECKS], start):
            encoded[position] = encoded_text(item, name)
    return encoded.reshape(array.shape)


def encoded_text(value: Any, name: str) -> bytes:
    """Returns str or bytes as bytes; str may contain bytes that are not UTF-8, escaped by "surrogateescape".

    Args:
        value: the str or bytes.
        name: the name of the input or feature, for errors.

    Raises:
        UsageError: `value` is neither, or is not valid Unicode.
    """
    if isinstance(value, str):
        try:
            return value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise UsageError(f"{printable(name)} contains text that is not valid Unicode.") from None
    if not isinstance(value, bytes):
        raise UsageError(f"{printable(name)} contains {shorten(value)}, which is neither str nor bytes.")
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
    """Returns `value` as an array of `dtype`, if that changes numbers only by rounding."""
    try:
        array = np.asarray(value)
        if dtype.kind in "iu" and array.dtype.kind in "fO" and not isinstance(value, np.ndarray):
            array = _integers(value, array)
    except (ValueError, TypeError, OverflowError):
        raise UsageError(f"{printable(name)} is not rectangular: its lists have different lengths.") from None
    if not _fits_kind(array, dtype):
        found = {"U": "text", "S": "bytes", "O": "objects"}.get(array.dtype.kind, array.dtype)
        raise UsageError(f"{printable(name)} contains {found}, but the input takes {dtype}.")
    with np.errstate(all="ignore"):
        converted = array.astype(dtype)
        if dtype.kind in "iu":
            changed = array.size and not np.array_equal(converted, array)
        else:
            changed = dtype.kind == "f" and not np.array_equal(np.isinf(converted), np.isinf(array))
    if changed:
        raise UsageError(f"{printable(name)} contains numbers out of the range of {dtype}.")
    return converted


def _integers(value: Any, array: Array) -> Array:
    """Returns `array`, made from `value`, with exact integers: NumPy converts those from 2^63 on to float or object."""
    exact: Array = np.asarray(value, np.object_)
    if not all(type(item) is int and -(2**63) <= item < 2**64 for item in exact.ravel()):
        return array
    return exact.astype(np.int64 if min(exact.ravel(), default=0) < 0 else np.uint64)


def _fits_kind(array: Array, dtype: np.dtype[Any]) -> bool:
    """Returns whether `dtype` accepts the kind of numbers in `array`; an empty array may have any kind."""
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

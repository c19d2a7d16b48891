"""Converts JSON values to tensor values of a dtype, with the official server's errors for values that do not fit.

NumPy converts whole lists of numbers at once if that cannot change a value. All other values, and all invalid ones, are
converted one by one by the strict rules, which also produce the error messages.
Sources: ``json_tensor.cc`` and ``api_rest.md`` of TensorFlow Serving.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from tfserve.model_server.runtime.tensors import numpy_dtype
from tfserve.model_server.status import Code, StatusError, invalid_argument
from tfserve.protos.dtypes import DT_STRING, MAX_RANK, Array, dtype_name
from tfserve.protos.saved_model_pb2 import DataType

_DT_BOOL: int = DataType.DT_BOOL
_SHOWN_CHARACTERS = 256
_INDENT = "    "


def convert_fast(value: Any, dtype: int) -> Array | None:
    """Converts nested lists of numbers with NumPy; returns None if the strict rules are needed."""
    if dtype in (DT_STRING, _DT_BOOL):
        return None
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        return None
    if array.ndim > MAX_RANK:
        return None
    target = numpy_dtype(dtype)
    kind = array.dtype.kind
    if target.kind in "iu":
        if array.dtype == target:
            return array
        if kind not in "iu" or array.size == 0:
            return None
        limits = np.iinfo(target)
        if array.min() < limits.min or array.max() > limits.max:
            return None
        return array.astype(target)
    if kind not in "fiu" or target.kind == "c":
        return None
    with np.errstate(over="ignore"):  # values past the largest float become infinity, as in C
        return array.astype(target)


def shape_of(value: Any) -> tuple[int, ...]:
    """Returns the shape of nested lists, judging by the first element of each list."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if len(shape) > MAX_RANK:
            raise invalid_argument(f"Lists nested deeper than {MAX_RANK} are not supported")
        if not value:
            break
        value = value[0]
    return tuple(shape)


def flatten(value: Any, level: int, shape: tuple[int, ...], dtype: int, flat: list[Any]) -> None:
    """Appends the checked and converted leaves of `value` to `flat`; raises if the nesting does not match `shape`."""
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid_argument(
                f"JSON Value: {shorten(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        flat.append(_leaf(value, dtype))
        return
    if level >= len(shape):
        raise invalid_argument(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for element in value:
        flatten(element, level + 1, shape, dtype, flat)


def _leaf(value: Any, dtype: int) -> Any:
    """Returns one value converted for `dtype`: a number, a bool, or bytes for a string."""
    if dtype == DT_STRING:
        if isinstance(value, str):
            return encode_text(value)
        if isinstance(value, dict):
            return decode_base64(value)
        raise _type_error(value, dtype)
    if isinstance(value, dict):
        raise _type_error(value, dtype)
    if dtype == _DT_BOOL:
        if isinstance(value, bool):
            return value
        raise _type_error(value, dtype)
    target = numpy_dtype(dtype)
    if target.kind == "c":
        raise StatusError(
            Code.UNIMPLEMENTED, f"Conversion of JSON Value: {shorten(value)} to type: {dtype_name(dtype)}"
        )
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _type_error(value, dtype)
    if target.kind in "iu":
        limits = np.iinfo(target)
        if not isinstance(value, int) or not limits.min <= value <= limits.max:
            raise _type_error(value, dtype)
        return value
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def to_array(flat: list[Any], shape: tuple[int, ...], dtype: int) -> Array:
    """Returns the leaves that `flatten` collected as an array of `shape`."""
    target = numpy_dtype(dtype)
    if target.kind in "OiubV" or not flat:
        array: Array = np.empty(len(flat), target)
        array[:] = flat
    else:
        with np.errstate(over="ignore"):
            array = np.array(flat, np.float64).astype(target)
    return array.reshape(shape)


def is_named(value: Any) -> bool:
    """Returns whether `value` is an object of named tensors; ``{"b64": …}`` is a single value."""
    return isinstance(value, dict) and not is_base64(value)


def is_base64(value: Any) -> bool:
    """Returns whether `value` is ``{"b64": …}``."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def encode_text(text: str) -> bytes:
    """Returns a JSON string in UTF-8; raises StatusError for half a surrogate pair, which UTF-8 cannot represent."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise invalid_argument("JSON Parse error: The surrogate pair in string is invalid.") from None


def decode_base64(value: dict[str, Any]) -> bytes:
    """Returns the bytes of ``{"b64": …}``; raises StatusError if it is malformed."""
    if not is_base64(value):
        raise invalid_argument(f"JSON Value: {shorten(value)} not formatted correctly for base64 data")
    text = "".join(value["b64"].split()).rstrip("=.")
    try:
        return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise invalid_argument("Unable to base64 decode") from None


def _type_error(value: Any, dtype: int) -> StatusError:
    return invalid_argument(
        f"JSON Value: {shorten(value)} Type: {json_type(value)} is not of expected type: {dtype_name(dtype)}"
    )


def json_type(value: Any) -> str:
    """Returns the name of the type of a JSON value in error messages."""
    if value is None:
        return "Null"
    if isinstance(value, bool | dict | list):
        return {bool: str(value), dict: "Object", list: "Array"}[type(value)]
    return "String" if isinstance(value, str) else "Number"


def shorten(value: Any) -> str:
    """Returns the start of `value` as JSON for error messages: arrays on one line, objects on several lines."""
    text = ""
    for piece in _pieces(value, 0):
        text += piece
        if len(text) >= _SHOWN_CHARACTERS:
            break
    return text[:_SHOWN_CHARACTERS]


def _pieces(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, dict):
        yield "{"
        for index, (name, member) in enumerate(value.items()):
            yield f"{',' if index else ''}\n{_INDENT * (depth + 1)}{_scalar(name)}: "
            yield from _pieces(member, depth + 1)
        yield f"\n{_INDENT * depth}}}" if value else "}"
    elif isinstance(value, list):
        yield "["
        for index, element in enumerate(value):
            if index:
                yield ", "
            yield from _pieces(element, depth + 1)
        yield "]"
    else:
        yield _scalar(value)


def _scalar(value: Any) -> str:
    """Returns a value that is not a list or object as JSON, or the start of a long string."""
    shown = value[:_SHOWN_CHARACTERS] if isinstance(value, str) else value
    return json.dumps(shown, ensure_ascii=False)

"""From one typed text to a value of a dtype, as JSON can carry it.

Which types REST carries, and that whole numbers have to be written without a point, is TensorFlow Serving's doing:
``AddValueToTensor`` in ``tensorflow_serving/util/json_tensor.cc``.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Callable
from typing import Any, TypeAlias

from tfserve.client.files import read_bounded
from tfserve.errors import UsageError

__all__ = [
    "INTEGER_RANGES",
    "Value",
    "encode_bytes",
    "guess_value",
    "is_encoded_bytes",
    "is_sendable",
    "looks_like_value",
    "parse_value",
    "shown",
]

Value: TypeAlias = Any  # int, float, bool, str, {"b64": str}, or nested lists of one of these

INTEGER_RANGES = {
    "DT_INT8": (-(2**7), 2**7 - 1),
    "DT_UINT8": (0, 2**8 - 1),
    "DT_INT16": (-(2**15), 2**15 - 1),
    "DT_INT32": (-(2**31), 2**31 - 1),
    "DT_UINT32": (0, 2**32 - 1),
    "DT_INT64": (-(2**63), 2**63 - 1),
    "DT_UINT64": (0, 2**64 - 1),
}
# Above these, rounding to the nearest gives infinity.
_FLOAT_LIMITS = {"DT_FLOAT": 2.0**128 - 2.0**103, "DT_DOUBLE": float.fromhex("0x1.fffffffffffffp+1023")}
_MAX_FILE_BYTES = 256 * 2**20
_MAX_DIGITS = 400  # more than any type can hold, less than Python refuses to read

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_NOT_FINITE = re.compile(r"(?<![\w.])([+-]?)(nan|inf|infinity)(?![\w.])", re.ASCII | re.IGNORECASE)
_TRUTH = re.compile(r"(?<!\w)(true|false)(?!\w)", re.ASCII | re.IGNORECASE)


def is_sendable(dtype: str) -> bool:
    """Returns whether REST carries tensors of `dtype`, such as ``DT_FLOAT``."""
    return dtype in INTEGER_RANGES or dtype in _FLOAT_LIMITS or dtype in ("DT_BOOL", "DT_STRING")


def looks_like_value(text: str) -> bool:
    """Returns whether `text` is, as `parse_value` reads it, a number or truth value, or the start of a list or file.

    That is every value but a plain string, which nothing tells from a name.
    """
    stripped = text.strip()
    patterns = (_NUMBER, _NOT_FINITE, _TRUTH)
    return text.startswith("@") or stripped.startswith("[") or any(known.fullmatch(stripped) for known in patterns)


def parse_value(text: str, dtype: str) -> Value:
    """Reads `text` as one value or a JSON list of values of `dtype`.

    Numbers may be ``nan``, ``inf`` and ``-inf``. For ``DT_STRING`` the text is the string, unless it starts with ``[``
    (a JSON list of strings) or with ``@`` (the name of a file whose bytes are the string); bytes that are not UTF-8
    are sent as ``{"b64": …}``.

    Raises:
        UsageError: it is no such value, is out of the range of `dtype`, or REST cannot carry `dtype`.
    """
    if not is_sendable(dtype):
        raise UsageError(
            f"TensorFlow Serving takes no {dtype} over REST.", hint="It takes tensors of that type by gRPC."
        )
    if dtype == "DT_STRING":
        return _strings(text)
    stripped = text.strip()
    check = _checker(dtype)
    if not stripped.startswith("["):
        return check(_scalar(stripped, text, dtype), text)
    return _each(_list(stripped, text, dtype), lambda leaf: check(leaf, text))


def guess_value(text: str) -> Value:
    """Reads `text` as what it looks like, where no dtype is known.

    That is an integer, a number, ``true`` or ``false``, a JSON list of values, a string in quotes, or the name of a
    file behind ``@``; and a string if it is none of these.

    Raises:
        UsageError: it starts like one of them, but is none, or is out of range.
    """
    stripped = text.strip()
    if _INTEGER.fullmatch(stripped):
        return parse_value(text, "DT_INT64")
    if _NUMBER.fullmatch(stripped) or _NOT_FINITE.fullmatch(stripped):
        return float(parse_value(text, "DT_DOUBLE"))
    if _TRUTH.fullmatch(stripped):
        return stripped.lower() == "true"
    if not stripped.startswith(("[", '"')):
        return _strings(text)
    try:
        return json.loads(stripped)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{shown(text)} is not JSON: {_reason(error)}.") from None


def shown(value: object) -> str:
    """Returns `value` for an error message, shortened."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _scalar(stripped: str, text: str, dtype: str) -> Value:
    if dtype == "DT_BOOL":
        if stripped.lower() in ("true", "false"):
            return stripped.lower() == "true"
        raise UsageError(f"{shown(text)} is not {dtype}.", hint="Give true or false.")
    if _INTEGER.fullmatch(stripped) and len(stripped) <= _MAX_DIGITS:
        return _whole(stripped) if dtype in _FLOAT_LIMITS else int(stripped)
    if dtype in _FLOAT_LIMITS:
        if _NOT_FINITE.fullmatch(stripped):
            return float(stripped)
        if _NUMBER.fullmatch(stripped):
            return _finite(stripped)
    if "," in stripped:
        raise UsageError(
            f"{shown(text)} is not {dtype}.",
            hint="Several values are separated by spaces (1 2 5), or stand in a JSON list ('[1, 2, 5]').",
        )
    kind = "an integer" if dtype in INTEGER_RANGES else "a number"
    raise UsageError(f"{shown(text)} is not {kind}, as {dtype} needs.")


def _list(stripped: str, text: str, dtype: str) -> Value:
    if dtype in _FLOAT_LIMITS:
        stripped = _NOT_FINITE.sub(_token, stripped)
    elif dtype == "DT_BOOL":
        stripped = _TRUTH.sub(lambda match: match[0].lower(), stripped)
    try:
        return json.loads(stripped, parse_int=_whole, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{shown(text)} is not a JSON list: {_reason(error)}.") from None


def _checker(dtype: str) -> Callable[[Value, str], Value]:
    """Returns what checks one value of a list; it returns the value or raises UsageError."""
    if dtype == "DT_BOOL":

        def check(leaf: Value, text: str) -> Value:
            if not isinstance(leaf, bool):
                raise UsageError(f"{shown(leaf)} in {shown(text)} is not DT_BOOL.", hint="Give true or false.")
            return leaf

    elif dtype in INTEGER_RANGES:
        lowest, highest = INTEGER_RANGES[dtype]

        def check(leaf: Value, text: str) -> Value:
            if not isinstance(leaf, int) or isinstance(leaf, bool):
                raise UsageError(f"{shown(leaf)} in {shown(text)} is not an integer, as {dtype} needs.")
            if not lowest <= leaf <= highest:
                raise UsageError(f"{shown(leaf)} is out of the range of {dtype}: {lowest} to {highest}.")
            return leaf

    else:
        limit = _FLOAT_LIMITS[dtype]

        def check(leaf: Value, text: str) -> Value:
            if not isinstance(leaf, (int, float)) or isinstance(leaf, bool):
                raise UsageError(f"{shown(leaf)} in {shown(text)} is not a number, as {dtype} needs.")
            if limit < abs(leaf) != float("inf"):
                raise UsageError(f"{shown(leaf)} is out of the range of {dtype}.", hint="For infinity give inf.")
            return leaf

    return check


def _strings(text: str) -> Value:
    if text.startswith("@"):
        hint = f"@ stands before a file; for the text itself put it into a list: {_as_list(text)}"
        content = read_bounded(text[1:], _MAX_FILE_BYTES, what=f"The file {shown(text[1:])}", hint=hint)
        return encode_bytes(content)
    if not text.startswith("["):
        return _string(text)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{shown(text)} starts like a JSON list, but is none: {_reason(error)}.",
            hint=f"If it is the string itself, put it into a list: {_as_list(text)}",
        ) from None
    return _each(value, _list_string)


def _list_string(leaf: Value) -> Value:
    if isinstance(leaf, str):
        return _string(leaf)
    if is_encoded_bytes(leaf) and isinstance(leaf["b64"], str) and leaf["b64"].isascii():
        return leaf
    raise UsageError(f"{shown(leaf)} is not a string, as DT_STRING needs.", hint='Write it with quotes: \'["1", "2"]\'')


def _string(text: str) -> Value:
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            original = text.encode("utf-8", "surrogateescape")  # how Python keeps arguments that are not UTF-8
        except UnicodeEncodeError:
            raise UsageError(f"{shown(text)} is not valid Unicode.", hint="Give bytes as a file: @FILE") from None
        return encode_bytes(original)
    return text


def _each(value: Value, change: Callable[[Value], Value]) -> Value:
    """Returns nested lists with every value in them changed. Without recursion: the nesting is the user's."""
    root = [value]
    waiting = [root]
    while waiting:
        items = waiting.pop()
        for position, item in enumerate(items):
            if isinstance(item, list):
                waiting.append(item)
            else:
                items[position] = change(item)
    return root[0]


def _token(match: re.Match[str]) -> str:
    """Returns how Python's and TensorFlow Serving's JSON write a number that is not finite."""
    if match[2].lower() == "nan":
        return "NaN"
    return "-Infinity" if match[1] == "-" else "Infinity"


def _whole(digits: str) -> int | float:
    if len(digits) > _MAX_DIGITS:
        raise UsageError(f"A number of {len(digits)} digits is out of the range of every type.")
    return int(digits) or (-0.0 if digits.startswith("-") else 0)


def _finite(number: str) -> float:
    value = float(number)
    if value in (float("inf"), float("-inf")):
        raise UsageError(f"{shown(number)} is out of the range of every type.", hint="For infinity give inf.")
    return value


def _as_list(text: str) -> str:
    """Returns what to type for the string `text` itself, for a short one."""
    return shlex.quote(json.dumps([text])) if len(text) <= 40 else "'[\"…\"]'"


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos + 1}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def encode_bytes(content: bytes) -> dict[str, str]:
    """Returns the JSON object that stands for `content`."""
    return {"b64": base64.b64encode(content).decode("ascii")}


def is_encoded_bytes(value: Any) -> bool:
    """Returns whether a value read from JSON has the form of bytes; what is in it may still be no base64."""
    return isinstance(value, dict) and list(value) == ["b64"]

"""Converts text to values that JSON can carry, of a given dtype or of the one that the text suggests.

TensorFlow Serving defines which types REST carries, and that integers are written without a decimal point:
``AddValueToTensor`` in ``tensorflow_serving/util/json_tensor.cc``.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Callable
from typing import Any, TypeAlias

from tfserve.errors import UsageError
from tfserve.host.files import read_bounded

__all__ = [
    "INTEGER_RANGES",
    "TOO_LARGE",
    "Value",
    "encode_bytes",
    "guess_value",
    "is_encoded_bytes",
    "is_sendable",
    "looks_like_value",
    "parse_value",
    "shorten",
]

TOO_LARGE = "A request cannot contain more; send it in parts."
"""The hint for a file that is too large for a request."""

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
# Larger numbers round to infinity.
_FLOAT_LIMITS = {"DT_FLOAT": 2.0**128 - 2.0**103, "DT_DOUBLE": float.fromhex("0x1.fffffffffffffp+1023")}
_MAX_FILE_BYTES = 256 * 2**20
_MAX_DIGITS = 400  # more than any type holds, fewer than Python refuses to parse

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_NOT_FINITE = re.compile(r"(?<![\w.])([+-]?)(nan|inf|infinity)(?![\w.])", re.ASCII | re.IGNORECASE)
_TRUTH = re.compile(r"(?<!\w)(true|false)(?!\w)", re.ASCII | re.IGNORECASE)


def is_sendable(dtype: str) -> bool:
    """Returns whether REST carries tensors of `dtype`, such as ``DT_FLOAT``."""
    return dtype in INTEGER_RANGES or dtype in _FLOAT_LIMITS or dtype in ("DT_BOOL", "DT_STRING")


def looks_like_value(text: str) -> bool:
    """Returns whether `parse_value` reads `text` as a number, a truth value, a list or a file.

    Only a plain string does not look like a value, since it cannot be distinguished from a name.
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
        UsageError: `text` is not a value of `dtype`, is out of its range, or REST does not carry `dtype`.
    """
    if not is_sendable(dtype):
        raise UsageError(
            f"TensorFlow Serving does not accept {dtype} over REST.", hint="Send tensors of this type over gRPC."
        )
    if dtype == "DT_STRING":
        return _parse_strings(text)
    stripped = text.strip()
    check = _checker(dtype)
    if not stripped.startswith("["):
        return check(_parse_scalar(stripped, text, dtype), text)
    return _map_values(_parse_list(stripped, text, dtype), lambda leaf: check(leaf, text))


def guess_value(text: str) -> Value:
    """Reads `text` as a value of the type that it looks like.

    It can be an integer, a number, ``true`` or ``false``, a JSON list of values, a quoted string, or ``@`` and the name
    of a file; any other text is a string.

    Raises:
        UsageError: `text` starts like one of these but is not valid, or is out of range.
    """
    stripped = text.strip()
    if _INTEGER.fullmatch(stripped):
        return parse_value(text, "DT_INT64")
    if _NUMBER.fullmatch(stripped) or _NOT_FINITE.fullmatch(stripped):
        return float(parse_value(text, "DT_DOUBLE"))
    if _TRUTH.fullmatch(stripped):
        return stripped.lower() == "true"
    if not stripped.startswith(("[", '"')):
        return _parse_strings(text)
    try:
        return json.loads(stripped)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{shorten(text)} is not JSON: {_reason(error)}.") from None


def shorten(value: object) -> str:
    """Returns the representation of `value` for an error message, shortened to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _parse_scalar(stripped: str, text: str, dtype: str) -> Value:
    if dtype == "DT_BOOL":
        if stripped.lower() in ("true", "false"):
            return stripped.lower() == "true"
        raise UsageError(f"{shorten(text)} is not {dtype}.", hint="Give true or false.")
    if _INTEGER.fullmatch(stripped) and len(stripped) <= _MAX_DIGITS:
        return _parse_integer(stripped) if dtype in _FLOAT_LIMITS else int(stripped)
    if dtype in _FLOAT_LIMITS:
        if _NOT_FINITE.fullmatch(stripped):
            return float(stripped)
        if _NUMBER.fullmatch(stripped):
            return _parse_finite(stripped)
    if "," in stripped:
        raise UsageError(
            f"{shorten(text)} is not {dtype}.",
            hint="Separate values with spaces (1 2 5), or write them as a JSON list ('[1, 2, 5]').",
        )
    kind = "an integer" if dtype in INTEGER_RANGES else "a number"
    raise UsageError(f"{shorten(text)} is not {kind}, which {dtype} requires.")


def _parse_list(stripped: str, text: str, dtype: str) -> Value:
    if dtype in _FLOAT_LIMITS:
        stripped = _NOT_FINITE.sub(_json_token, stripped)
    elif dtype == "DT_BOOL":
        stripped = _TRUTH.sub(lambda match: match[0].lower(), stripped)
    try:
        return json.loads(stripped, parse_int=_parse_integer, parse_float=_parse_finite)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{shorten(text)} is not a JSON list: {_reason(error)}.") from None


def _checker(dtype: str) -> Callable[[Value, str], Value]:
    """Returns a function that checks one value of a list: it returns the value, or raises UsageError."""
    if dtype == "DT_BOOL":

        def check(leaf: Value, text: str) -> Value:
            if not isinstance(leaf, bool):
                raise UsageError(f"{shorten(leaf)} in {shorten(text)} is not DT_BOOL.", hint="Give true or false.")
            return leaf

    elif dtype in INTEGER_RANGES:
        lowest, highest = INTEGER_RANGES[dtype]

        def check(leaf: Value, text: str) -> Value:
            if not isinstance(leaf, int) or isinstance(leaf, bool):
                raise UsageError(f"{shorten(leaf)} in {shorten(text)} is not an integer, which {dtype} requires.")
            if not lowest <= leaf <= highest:
                raise UsageError(f"{shorten(leaf)} is out of the range of {dtype}: {lowest} to {highest}.")
            return leaf

    else:
        limit = _FLOAT_LIMITS[dtype]

        def check(leaf: Value, text: str) -> Value:
            if not isinstance(leaf, (int, float)) or isinstance(leaf, bool):
                raise UsageError(f"{shorten(leaf)} in {shorten(text)} is not a number, which {dtype} requires.")
            if limit < abs(leaf) != float("inf"):
                raise UsageError(f"{shorten(leaf)} is out of the range of {dtype}.", hint="Write infinity as inf.")
            return leaf

    return check


def _parse_strings(text: str) -> Value:
    if text.startswith("@"):
        hint = f"@ reads a file. To send the text itself, put it into a list: {_as_list(text)}"
        content = read_bounded(
            text[1:], _MAX_FILE_BYTES, what=f"The file {shorten(text[1:])}", hint=hint, too_large=TOO_LARGE
        )
        return encode_bytes(content)
    if not text.startswith("["):
        return _encode_string(text)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{shorten(text)} is not a valid JSON list: {_reason(error)}.",
            hint=f"To send the text itself, put it into a list: {_as_list(text)}",
        ) from None
    return _map_values(value, _list_string)


def _list_string(leaf: Value) -> Value:
    if isinstance(leaf, str):
        return _encode_string(leaf)
    if is_encoded_bytes(leaf) and isinstance(leaf["b64"], str) and leaf["b64"].isascii():
        return leaf
    raise UsageError(f"{shorten(leaf)} is not a string, which DT_STRING requires.", hint='Quote it: \'["1", "2"]\'')


def _encode_string(text: str) -> Value:
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            original = text.encode("utf-8", "surrogateescape")  # Python's encoding of arguments that are not UTF-8
        except UnicodeEncodeError:
            raise UsageError(
                f"{shorten(text)} is not valid Unicode.", hint="Put the bytes into a file: @FILE"
            ) from None
        return encode_bytes(original)
    return text


def _map_values(value: Value, change: Callable[[Value], Value]) -> Value:
    """Applies `change` to every value in nested lists, without recursion, as the user chooses the depth."""
    root = [value]
    pending = [root]
    while pending:
        items = pending.pop()
        for position, item in enumerate(items):
            if isinstance(item, list):
                pending.append(item)
            else:
                items[position] = change(item)
    return root[0]


def _json_token(match: re.Match[str]) -> str:
    """Returns a number that is not finite as the JSON of Python and of TensorFlow Serving writes it."""
    if match[2].lower() == "nan":
        return "NaN"
    return "-Infinity" if match[1] == "-" else "Infinity"


def _parse_integer(digits: str) -> int | float:
    if len(digits) > _MAX_DIGITS:
        raise UsageError(f"A number of {len(digits)} digits is out of the range of every type.")
    return int(digits) or (-0.0 if digits.startswith("-") else 0)


def _parse_finite(number: str) -> float:
    value = float(number)
    if value in (float("inf"), float("-inf")):
        raise UsageError(f"{shorten(number)} is out of the range of every type.", hint="Write infinity as inf.")
    return value


def _as_list(text: str) -> str:
    """Returns a JSON list of the string `text`, quoted for a shell; abbreviated if it is long."""
    return shlex.quote(json.dumps([text])) if len(text) <= 40 else "'[\"…\"]'"


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos + 1}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def encode_bytes(content: bytes) -> dict[str, str]:
    """Returns the JSON object that represents `content`."""
    return {"b64": base64.b64encode(content).decode("ascii")}


def is_encoded_bytes(value: Any) -> bool:
    """Returns whether a value from JSON has the form of bytes; its content is not necessarily valid base64."""
    return isinstance(value, dict) and list(value) == ["b64"]

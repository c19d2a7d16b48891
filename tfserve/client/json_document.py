"""JSON as TensorFlow Serving writes it, which is not always JSON as others read it."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from tfserve.client.shapes import MAX_RANK

__all__ = ["read_json", "strict_json"]

_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DEPTH = MAX_RANK + 8  # a tensor of the highest rank in the objects around it
_LONG_INTEGER = 30  # digits; Python refuses to make an int of thousands


def read_json(body: bytes) -> Any:
    """Returns the document in `body`, with NaN and Infinity allowed.

    A string tensor with bytes that are not UTF-8 makes the real server answer JSON that is not UTF-8 either; these
    bytes are kept as "surrogateescape" keeps them. Integers of 30 digits and more become floats.

    Raises:
        ValueError: it is not JSON, or is nested too deeply for Python.
    """
    try:
        return json.loads(body.decode("utf-8", "surrogateescape"), parse_int=_whole)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def strict_json(document: Any) -> Any:
    """Returns `document` so that every JSON reader takes it, however it is written.

    Numbers that are not finite become the strings "NaN", "Infinity" and "-Infinity"; bytes that were not UTF-8, and
    halves of surrogate pairs, become U+FFFD.

    Raises:
        ValueError: it is nested more deeply than any tensor.
    """
    return _strict(document, _MAX_DEPTH)


def _strict(value: Any, depth: int) -> Any:
    if depth < 0:
        raise ValueError("nested too deeply")
    if isinstance(value, list):
        return [_strict(item, depth - 1) for item in value]
    if isinstance(value, dict):
        return {_text(key): _strict(item, depth - 1) for key, item in value.items()}
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    return value


def _text(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text)


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < _LONG_INTEGER else float(digits)

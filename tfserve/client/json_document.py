"""Reads the JSON that TensorFlow Serving writes, and makes it valid for every JSON reader."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tfserve.client.shapes import MAX_RANK
from tfserve.protos.without_gc import without_gc

__all__ = ["MAX_DEPTH", "read_json", "read_json_stream", "read_json_text", "strict_json"]

_SURROGATE = re.compile("[\ud800-\udfff]")
MAX_DEPTH = MAX_RANK + 8  # a tensor of the highest rank, and the objects around it
_LONG_INTEGER = 30  # digits; Python refuses to convert thousands of digits to an int


def read_json(body: bytes) -> Any:
    """Returns the document in `body`, with NaN and Infinity allowed.

    TensorFlow Serving writes the bytes of string tensors into JSON even if they are not UTF-8; they are kept by
    "surrogateescape". Integers of 30 digits or more become floats.

    Raises:
        ValueError: `body` is not JSON, or is nested too deeply for Python.
    """
    return read_json_text(body.decode("utf-8", "surrogateescape"))


def read_json_text(text: str) -> Any:
    """Returns the document in `text`; see `read_json`."""
    with without_gc():
        try:
            return json.loads(text, parse_int=_parse_integer)
        except RecursionError:
            raise ValueError("nested too deeply") from None


def read_json_stream(pieces: Iterable[bytes], limit: int) -> Iterator[Any]:
    """Yields the documents in a stream, each of which ends with a line; several can be in one line.

    Raises:
        ValueError: a line is not JSON, or is longer than `limit` bytes.
    """
    decoder = json.JSONDecoder(parse_int=_parse_integer)
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield from _documents(decoder, line)
        if len(rest) > limit:
            raise ValueError("a line is too long")
    yield from _documents(decoder, rest)


def _documents(decoder: json.JSONDecoder, line: bytes) -> Iterator[Any]:
    text = line.decode("utf-8", "surrogateescape").strip()
    while text:
        with without_gc():
            try:
                document, end = decoder.raw_decode(text)
            except RecursionError:
                raise ValueError("nested too deeply") from None
        yield document
        text = text[end:].lstrip()


def strict_json(document: Any) -> Any:
    """Returns `document` in a form that every JSON reader accepts.

    Numbers that are not finite become the strings "NaN", "Infinity" and "-Infinity"; bytes that were not UTF-8, and
    lone surrogates, become U+FFFD.

    Raises:
        ValueError: `document` is nested more deeply than any tensor.
    """
    return _strict(document, MAX_DEPTH)


def _strict(value: Any, depth: int) -> Any:
    if depth < 0:
        raise ValueError("nested too deeply")
    if isinstance(value, list):
        return [_strict(item, depth - 1) for item in value]
    if isinstance(value, dict):
        return {_replace_surrogates(key): _strict(item, depth - 1) for key, item in value.items()}
    if isinstance(value, str):
        return _replace_surrogates(value)
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    return value


def _replace_surrogates(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text)


def _parse_integer(digits: str) -> int | float:
    return int(digits) if len(digits) < _LONG_INTEGER else float(digits)

"""Converts a large predict request piece by piece: its memory is that of its arrays, and not of Python's objects.

A large list, such as ``instances``, is cut between its elements, and each group of elements is parsed and converted by
itself. The results and the error messages are those of `json_input`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson

from tfserve.model_server.rest.json_input import (
    Document,
    PredictInput,
    RowsBefore,
    Shape,
    check_object,
    column,
    input_dtypes,
    may_have_bools,
    named_columns,
    parse_json,
    parse_predict,
    rows,
)
from tfserve.model_server.rest.json_scan import Span
from tfserve.model_server.rest.json_values import is_named
from tfserve.model_server.runtime.tensors import numpy_dtype
from tfserve.model_server.status import invalid_argument
from tfserve.protos.dtypes import MAX_RANK, Array

_INFINITE = b" 1.7976931348623157e308"
"""The largest double, which every smaller type of float reads as infinity."""

_BLOCK_BYTES = 1 << 12

Arrays = dict[str, Array]


def parse_in_pieces(body: memoryview, spans: list[Span], inputs_of: Callable[[str], Mapping[str, int]]) -> PredictInput:
    """Converts a predict request.

    Args:
        body: JSON, without text after the object.
        spans: its large lists, in order; see `Scan.large_lists`.
        inputs_of: as for `parse_predict`.

    Raises:
        StatusError: as `parse_document` and `parse_predict`.
    """
    spans = [span for span in spans if body[span.end - 1] == ord("]")]
    marker = os.urandom(16).hex()
    text, start = b"", 0
    for index, (begin, end, _) in enumerate(spans):
        text += bytes(body[start:begin]) + orjson.dumps([f"{marker}{index}"])
        start = end
    text += bytes(body[start:])
    root = check_object(parse_json(text))
    markers = {f"{marker}{index}": span for index, span in enumerate(spans)}
    has_bools = may_have_bools(text)
    span = _cut(root.get("instances"), markers)
    is_rows = span is not None and "inputs" not in root and not _is_blank(body[span.start + 1 : span.end - 1])
    is_columns = "inputs" in root and "instances" not in root
    if not isinstance(root.get("signature_name", ""), str) or not (is_rows or is_columns):
        return parse_predict(Document(_with_starts(root, markers, body), has_bools), inputs_of)
    signature = root.get("signature_name", "")
    dtypes = input_dtypes(signature, inputs_of)
    if span is not None:
        return PredictInput(signature, _rows(body, span, dtypes), row_format=True)
    named = named_columns(root["inputs"], dtypes)
    arrays = {}
    for alias, dtype in dtypes.items():
        place = _cut(named[alias], markers)
        if place is not None:
            arrays[alias] = _column(body, place, dtype)
        else:
            arrays[alias] = column(named[alias], dtype, has_bools)
    return PredictInput(signature, arrays, row_format=False)


def _with_starts(root: dict[str, Any], markers: Mapping[str, Span], body: memoryview) -> dict[str, Any]:
    """Returns the document with the first elements of each large list, for error messages and to ignore the list."""
    filled: dict[str, Any] = {}
    for name, value in root.items():
        span = _cut(value, markers)
        if isinstance(value, dict):
            filled[name] = _with_starts(value, markers, body)
        else:
            filled[name] = value if span is None else _start(body, span)
    return filled


def _start(body: memoryview, span: Span) -> list[Any]:
    """Returns the first elements of a list, more than an error message shows."""
    elements: list[Any] = []
    for start, end in span.pieces():
        elements += parse_json(_piece(body, start, end), start - 1)
        if end - span.start > _BLOCK_BYTES:
            break
    return elements


def _cut(value: Any, markers: Mapping[str, Span]) -> Span | None:
    """Returns the list whose place `value` takes, or None if it is a value of its own."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return markers.get(value[0])
    return None


def _rows(body: memoryview, span: Span, dtypes: Mapping[str, int]) -> Arrays:
    """Converts a large ``instances``."""
    groups: list[Arrays] = []
    before: RowsBefore | None = None
    for start, end in span.pieces():
        piece = _piece(body, start, end)
        arrays = _rows_with_tokens(piece, dtypes, before)
        named = False
        if arrays is None:
            values = parse_json(piece, start - 1)
            named = is_named(values[0])
            arrays = rows(values, dtypes, may_have_bools(piece), before)
        groups.append(arrays)
        count = len(next(iter(arrays.values())))
        if before is None:
            before = RowsBefore(count, named, {alias: array.shape[1:] for alias, array in arrays.items()})
        else:
            before = before._replace(number=before.number + count)
    return {alias: _joined([group.pop(alias) for group in groups]) for alias in dtypes}


def _rows_with_tokens(piece: bytes, dtypes: Mapping[str, int], before: RowsBefore | None) -> Arrays | None:
    """Converts rows of one input; see `_numbers_with_tokens`."""
    if len(dtypes) > 1 or (before is not None and before.named):
        return None
    ((alias, dtype),) = dtypes.items()
    shapes = before.shapes if before is not None else None
    array = _numbers_with_tokens(piece, dtype, shapes[alias] if shapes else None)
    return None if array is None else {alias: array}


def _column(body: memoryview, span: Span, dtype: int) -> Array:
    """Converts a large tensor of ``inputs``."""
    parts: list[Array] = []
    shape: Shape | None = None
    for start, end in span.pieces():
        piece = _piece(body, start, end)
        part = _numbers_with_tokens(piece, dtype, shape)
        if part is None:
            part = column(parse_json(piece, start - 1), dtype, may_have_bools(piece), shape)
        parts.append(part)
        shape = part.shape[1:]
    return _joined(parts)


def _piece(body: memoryview, start: int, end: int) -> bytes:
    """Returns a group of elements as a list; raises StatusError if a comma is not followed by an element."""
    if body[start - 1] == ord(",") and _is_blank(body[start:end]):
        raise invalid_argument(f"JSON Parse error: Expecting value. at offset: {end}")
    return b"".join((b"[", body[start:end], b"]"))


def _is_blank(text: memoryview) -> bool:
    """Returns whether there is nothing but white space in a text."""
    return all(not bytes(text[start : start + _BLOCK_BYTES]).strip() for start in range(0, len(text), _BLOCK_BYTES))


def _joined(parts: list[Array]) -> Array:
    """Returns the parts one after the other; they are freed as they are copied."""
    first = parts[0]
    if len(parts) == 1:
        return first
    joined: Array = np.empty((sum(map(len, parts)), *first.shape[1:]), first.dtype)
    start = 0
    parts.reverse()
    while parts:
        part = parts.pop()
        joined[start : start + len(part)] = part
        start += len(part)
    return joined


def _numbers_with_tokens(text: bytes, dtype: int, shape: Shape | None) -> Array | None:
    """Converts rows of numbers among which are NaN, Infinity or -Infinity.

    Returns:
        An array; None if there are no such tokens, or other values, or rows that do not have the given shape.

    Python's parser reads these tokens as well, but takes ten times as long.
    """
    if not (b"N" in text or b"I" in text) or b'"' in text or b"null" in text or may_have_bools(text):
        return None
    target = numpy_dtype(dtype)
    # NumPy reads None as NaN. A space before each token keeps what is not a token from becoming a part of a number.
    text = text.replace(b"NaN", b" null")
    if b"Infinity" in text:
        if target == np.float64:
            return None
        text = text.replace(b"-Infinity", b" -" + _INFINITE.strip()).replace(b"Infinity", _INFINITE)
    if target.kind not in "fV":
        return None
    try:
        values = np.array(orjson.loads(text), np.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    if values.ndim > MAX_RANK or shape not in (None, values.shape[1:]):
        return None
    with np.errstate(over="ignore"):
        return values.astype(target)

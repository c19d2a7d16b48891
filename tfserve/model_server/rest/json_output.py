"""Converts the outputs of a model to the body of a REST response; predictions have the request's format, row or column.

Floats are written with as few digits as read back exactly in their own precision, integers with all digits.
Sources: ``json_tensor.cc`` and ``api_rest.md`` of TensorFlow Serving.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson

from tfserve.model_server.inference.classification import Classifications
from tfserve.model_server.status import invalid_argument
from tfserve.protos.dtypes import Array

_BYTES_SUFFIX = "_bytes"
_PIECE_VALUES = 1 << 16


def format_predictions(arrays: Mapping[str, Array], row_format: bool) -> bytes:
    """Returns the body of a predict response.

    Args:
        arrays: output alias -> values; strings as object arrays of bytes. Outputs whose alias ends in ``_bytes``
            are written as base64.
        row_format: True for ``predictions`` with one item for each row, False for ``outputs``.

    Raises:
        StatusError: INVALID_ARGUMENT, there are no outputs, one of them has no JSON form, or, in row format, they do
            not all have the same first dimension.
    """
    if not arrays:
        raise invalid_argument("Cannot convert empty tensor map to JSON")
    if row_format:
        return b"".join((b'{\n    "predictions": [', _rows(arrays), b"\n    ]\n}"))
    if len(arrays) == 1:
        ((alias, array),) = arrays.items()
        return b"".join((b'{\n    "outputs": ', _text(alias, array), b"\n}"))
    members = (orjson.dumps(alias) + b": " + _text(alias, array) for alias, array in arrays.items())
    return b'{\n    "outputs": {\n        ' + b",\n        ".join(members) + b"\n    }\n}"


def format_classifications(classifications: Classifications) -> bytes:
    """Returns the body of a classify response: a list of pairs of label and score for each example."""
    labels, scores = classifications
    texts = map(orjson.dumps, _strings(labels.ravel().tolist(), as_base64=False))
    pairs = [b"[%b, %b]" % pair for pair in zip(texts, _text("", scores.ravel())[1:-1].split(b", "), strict=False)]
    count = labels.shape[1]
    examples = [b", ".join(pairs[start * count : (start + 1) * count]) for start in range(len(labels))]
    return b'{\n    "results": [' + b", ".join(b"[%b]" % example for example in examples) + b"\n    ]\n}"


def format_regressions(values: Array) -> bytes:
    """Returns the body of a regress response: the value of each example."""
    return b'{\n    "results": ' + _text("", values) + b"\n}"


def _rows(arrays: Mapping[str, Array]) -> bytes | memoryview:
    """Returns the text between the brackets of ``predictions``."""
    count = -1
    for alias, array in arrays.items():
        if array.ndim == 0:
            raise invalid_argument(f"Tensor name: {alias} has no shape information ")
        if count not in (-1, len(array)):
            raise invalid_argument(f"Tensor name: {alias} has inconsistent batch size: {len(array)} expecting: {count}")
        count = len(array)
    if len(arrays) == 1:
        ((alias, array),) = arrays.items()
        return memoryview(_text(alias, array))[1:-1]
    columns = [[orjson.dumps(alias) + b": " + row for row in _split(alias, array)] for alias, array in arrays.items()]
    objects = (b",\n            ".join(members) for members in zip(*columns, strict=True))
    return b",".join(b"\n        {\n            " + members + b"\n        }" for members in objects)


def _split(alias: str, array: Array) -> list[bytes]:
    """Returns the JSON text of each row of `array`."""
    if array.dtype.kind == "O":
        return [orjson.dumps(_strings(row, alias.endswith(_BYTES_SUFFIX))) for row in array.tolist()]
    if array.size == 0:
        return [_text(alias, row) for row in array]
    # The brackets around the rows show where to split, so the array is written once and not row by row.
    depth = array.ndim - 1
    before, after = b"[" * depth, b"]" * depth
    rows = _text(alias, array)[1 + depth : -1 - depth].split(after + b", " + before)
    return [before + row + after for row in rows]


def _text(alias: str, array: Array) -> bytes:
    """Returns the JSON text of a whole tensor of any rank."""
    if array.dtype.kind not in "Ofiub":
        if array.dtype.kind == "c":
            raise invalid_argument(f"Failed to write JSON value for tensor type: {array.dtype.name}")
        array = array.astype(np.float32)  # bfloat16
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    write = _string_writer(alias) if array.dtype.kind == "O" else _number_text
    return _in_pieces(array, write)


def _in_pieces(array: Array, write: Callable[[Array], bytes]) -> bytes:
    """Writes a tensor in pieces, between which other threads can run: writing one stops all of them."""
    values = math.prod([max(1, size) for size in array.shape])  # an empty row also takes time
    if values <= _PIECE_VALUES or len(array) == 0:
        return write(array)
    row_values = values // len(array)
    if row_values > _PIECE_VALUES:
        return _joined([_in_pieces(row, write) for row in array], write)
    rows = max(1, _PIECE_VALUES // row_values)
    pieces = [write(array[start : start + rows])[1:-1] for start in range(0, len(array), rows)]
    return _joined(pieces, write)


def _joined(pieces: list[bytes], write: Callable[[Array], bytes]) -> bytes:
    """Returns elements as a list: orjson writes no space between them, which `_number_text` adds."""
    pieces[0] = b"[" + pieces[0]
    pieces[-1] += b"]"
    return (b", " if write is _number_text else b",").join(pieces)


def _string_writer(alias: str) -> Callable[[Array], bytes]:
    as_base64 = alias.endswith(_BYTES_SUFFIX)
    return lambda array: orjson.dumps(_strings(array.tolist(), as_base64))


def _number_text(array: Array) -> bytes:
    scalar = array.ndim == 0
    text = orjson.dumps(np.atleast_1d(np.ascontiguousarray(array)), option=orjson.OPT_SERIALIZE_NUMPY)
    if b"null" in text:
        text = _with_tokens(text, array)
    return text[1:-1] if scalar else text.replace(b",", b", ")


def _with_tokens(text: bytes, array: Array) -> bytes:
    """Replaces each null that orjson wrote by NaN, Infinity or -Infinity, in order."""
    pieces = text.split(b"null")
    odd = array[~np.isfinite(array)].tolist()
    tokens = [b"NaN" if value != value else b"Infinity" if value > 0 else b"-Infinity" for value in odd]
    return b"".join(part for pair in zip(pieces, [*tokens, b""], strict=True) for part in pair)


def _strings(value: Any, as_base64: bool) -> Any:
    """Returns nested lists of bytes as nested lists of strings or ``{"b64": …}`` objects."""
    if isinstance(value, list):
        return [_strings(element, as_base64) for element in value]
    if as_base64:
        return {"b64": base64.b64encode(value).decode("ascii")}
    return value.decode(errors="replace")

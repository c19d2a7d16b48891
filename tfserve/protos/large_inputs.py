"""Finds the large tensors of a serialized ``PredictRequest``, so that their values are not copied when it is parsed.

A parser copies every field, and Python copies it again when it is read. So the values of large tensors are left where
they are, and only the rest of the message is parsed. A message that is written in an unusual way is left as it is.
"""

from __future__ import annotations

from typing import NamedTuple

from tfserve.protos.apis_pb2 import PredictRequest
from tfserve.protos.tensors import ITEM_BYTES_OF_TAG, LargeField
from tfserve.protos.wire import MalformedError, fields, length_delimited

__all__ = ["LARGE_BYTES", "LargeInputs", "find_large_inputs"]

LARGE_BYTES = 1 << 18
"""The size from which on values are not copied."""

_INPUTS = PredictRequest.DESCRIPTOR.fields_by_name["inputs"].number
_KEY, _VALUE = 1 << 3 | 2, 2 << 3 | 2  # of an entry of a map
_DTYPE, _SHAPE, _VERSION = 1 << 3, 2 << 3 | 2, 3 << 3  # of TensorProto
_MAX_TENSOR_FIELDS = 8  # usually there are 3


class LargeInputs(NamedTuple):
    """A message whose large values have been found.

    Attributes:
        rest: the message without them.
        inputs: how many entries ``inputs`` has; if some have the same key, the message has to be parsed as a whole.
        values: alias -> the values that are not in `rest`, which share the memory of the message.
    """

    rest: bytes
    inputs: int
    values: dict[str, LargeField]


def find_large_inputs(body: bytes) -> LargeInputs | None:
    """Returns the parts of a serialized ``PredictRequest``; None if it must be parsed as a whole.

    That is so unless most of it is values of ``inputs`` that are at least `LARGE_BYTES`.
    """
    try:
        return _find(body)
    except (MalformedError, UnicodeDecodeError):
        return None


def _find(body: bytes) -> LargeInputs | None:
    rest: list[bytes] = []
    values: dict[str, LargeField] = {}
    count = position = kept = 0  # `body[kept:position]` stays
    for number, start, end in fields(body, 0, len(body)):
        if number == _INPUTS:
            count += 1
            if end - start > LARGE_BYTES and (found := _find_in_entry(body, start, end)) is not None:
                entry, alias, values[alias] = found
                rest += [body[kept:position], length_delimited(_INPUTS << 3 | 2, entry)]
                kept = end
        position = end
    if 2 * sum([len(field.values) for field in values.values()]) < len(body):
        return None  # the rest would be copied twice
    return LargeInputs(b"".join([*rest, body[kept:]]), count, values)


def _find_in_entry(body: bytes, start: int, end: int) -> tuple[bytes, str, LargeField] | None:
    """Returns an entry of ``inputs`` without its large values, its alias, and these; None if it must be parsed."""
    in_entry = fields(body, start, end)
    _, key_start, key_end = next(in_entry)
    if body[start] != _KEY or key_end == end or body[key_end] != _VALUE:
        return None
    _, tensor, tensor_end = next(in_entry)
    if tensor_end != end:
        return None
    found = _find_in_tensor(body, tensor, end)
    if found is None:
        return None
    field_start, field_end, field = found
    value = length_delimited(_VALUE, body[tensor:field_start] + body[field_end:end])
    return body[start:key_end] + value, body[key_start:key_end].decode(), field


def _find_in_tensor(body: bytes, start: int, end: int) -> tuple[int, int, LargeField] | None:
    """Returns where the large values of a ``TensorProto`` are; None if it has none, or others besides them."""
    found = None
    position = start
    for count, (_, values_start, values_end) in enumerate(fields(body, start, end)):
        tag = body[position]
        if tag in ITEM_BYTES_OF_TAG:
            size = values_end - values_start
            if found is not None or size < LARGE_BYTES or size % ITEM_BYTES_OF_TAG[tag]:
                return None
            found = position, values_end, LargeField(tag, memoryview(body)[values_start:values_end])
        elif tag not in (_DTYPE, _SHAPE, _VERSION) or count == _MAX_TENSOR_FIELDS:
            return None
        position = values_end
    return found

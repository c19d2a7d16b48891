"""Reads and writes serialized protobuf messages field by field, where message objects would be too slow.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator

__all__ = ["MalformedError", "fields", "length_delimited", "varint"]

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10


class MalformedError(ValueError):
    """The bytes are not a serialized message, or are truncated."""


def fields(data: mmap.mmap | bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yields ``(field number, start, end)`` of the value of every field of the message in ``data[start:end]``.

    Raises:
        MalformedError: the bytes are not a message.
    """
    position = start
    while position < end:
        tag, position = _read_varint(data, position, end)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            _, stop = _read_varint(data, position, end)
        elif wire_type == _FIXED64:
            stop = position + 8
        elif wire_type == _LENGTH_DELIMITED:
            length, position = _read_varint(data, position, end)
            stop = position + length
        elif wire_type == _FIXED32:
            stop = position + 4
        else:
            raise MalformedError(f"wire type {wire_type} at byte {position} is not part of a SavedModel")
        if number == 0:
            raise MalformedError(f"field number 0 at byte {position} is not part of a SavedModel")
        if stop > end:
            raise MalformedError(f"the file ends {stop - end} bytes early")
        yield number, position, stop
        position = stop


def length_delimited(tag: int, payload: bytes) -> bytes:
    """Returns a length-delimited field of a serialized protobuf message.

    Args:
        tag: the field's number and wire type, below 128.
        payload: its content.
    """
    return bytes((tag,)) + varint(len(payload)) + payload


def varint(value: int) -> bytes:
    """Returns `value`, at least 0, in protobuf's variable-length encoding."""
    if value <= 0x7F:
        return bytes((value,))
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _read_varint(data: mmap.mmap | bytes, position: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 7 * _MAX_VARINT_BYTES, 7):
        if position >= end:
            raise MalformedError("the file ends in the middle of a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise MalformedError(f"a number before byte {position} is too long")

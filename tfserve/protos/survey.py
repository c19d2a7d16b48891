"""Counts what a serialized message contains before it is parsed: a parser cannot be interrupted.

A message of 100 MB can have 50 million fields, each of which becomes an object, or 100 million numbers of one byte,
each of which becomes one of eight.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, Union

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tfserve.protos.wire import MalformedError, fields

__all__ = ["Survey", "has_few_fields", "survey"]

_LENGTH_DELIMITED = 2
_CHUNK = 1 << 20
_NUMBER_BYTES = {
    FieldDescriptor.CPPTYPE_BOOL: 1,
    FieldDescriptor.CPPTYPE_ENUM: 4,
    FieldDescriptor.CPPTYPE_INT32: 4,
    FieldDescriptor.CPPTYPE_INT64: 8,
    FieldDescriptor.CPPTYPE_UINT32: 4,
    FieldDescriptor.CPPTYPE_UINT64: 8,
}
"""Types that are written as varints: the size of one in memory."""

_Table = dict[int, Union["_Table", int]]
"""Tags that are length-delimited: the table of the message, or the size of each of the packed varints."""


class Survey(NamedTuple):
    """What a message contains, also in its submessages.

    Attributes:
        fields: how many fields; packed numbers are one.
        number_bytes: the size of its packed varints in memory.
    """

    fields: int
    number_bytes: int


def survey(body: bytes, kind: type[Message], most: int, most_outside: int) -> Survey:
    """Counts the fields of a message, and stops once there are too many.

    Bytes that are not a message are counted as far as they are one; no parser reads more.

    Args:
        body: the serialized message.
        kind: its type.
        most: how many fields to count at most; one more is reported if there are more.
        most_outside: the same for the fields that are not in a submessage.
    """
    found = number_bytes = 0
    stack: list[tuple[int, int, _Table]] = [(0, len(body), _table(kind.DESCRIPTOR))]
    room = min(most, most_outside)
    while stack:
        position, end, table = stack.pop()
        try:
            while position < end:
                found += 1
                if found > room:
                    return Survey(most + 1, number_bytes)
                tag = body[position]
                position += 1
                if tag > 0x7F:
                    tag, position = _varint(body, position - 1)
                wire = tag & 7
                if wire == _LENGTH_DELIMITED:
                    length = body[position]
                    position += 1
                    if length > 0x7F:
                        length, position = _varint(body, position - 1)
                    inner = table.get(tag)
                    if inner is not None and length:
                        if isinstance(inner, int):
                            number_bytes += inner * _varints(body, position, min(position + length, end))
                        else:
                            stack.append((position, min(position + length, end), inner))
                    position += length
                elif wire == 0:
                    while body[position] > 0x7F:
                        position += 1
                    position += 1
                elif wire == 5:
                    position += 4
                elif wire == 1:
                    position += 8
        except IndexError:
            pass  # it is truncated
        room = most
    return Survey(found, number_bytes)


def has_few_fields(body: bytes, most: int) -> bool:
    """Whether a message has at most `most` fields outside of its submessages; True if it is not a message."""
    try:
        for index, _ in enumerate(fields(body, 0, len(body))):
            if index == most:
                return False
    except MalformedError:
        pass
    return True


@functools.cache
def _table(kind: Any) -> _Table:  # a Descriptor, of which protobuf has two classes
    table: _Table = {}
    for field in kind.fields:
        tag = field.number << 3 | _LENGTH_DELIMITED
        if field.message_type is not None:
            table[tag] = _table(field.message_type)
        elif field.cpp_type in _NUMBER_BYTES:
            table[tag] = _NUMBER_BYTES[field.cpp_type]
    return table


def _varint(body: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80 or shift > 63:
            return value, position


def _varints(body: bytes, start: int, stop: int) -> int:
    """Returns how many varints there are in a part of a message: each ends in a byte below 128."""
    data = np.frombuffer(body, np.uint8, stop - start, start)
    return sum(int(np.count_nonzero(data[begin : begin + _CHUNK] < 0x80)) for begin in range(0, len(data), _CHUNK))

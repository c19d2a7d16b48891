"""Counts the fields of a serialized message before it is parsed: two bytes can become an object of a hundred."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfserve.protos.wire import MalformedError, fields

if TYPE_CHECKING:
    import mmap

    from google.protobuf.message import Message

__all__ = ["TooManyFieldsError", "check_field_count"]

_MAX_DEPTH = 32


class TooManyFieldsError(MalformedError):
    """A message has more fields than any honest one."""


def check_field_count(data: mmap.mmap | bytes, start: int, end: int, message: type[Message], limit: int) -> int:
    """Checks that the message in ``data[start:end]``, with all messages in it, has at most `limit` fields.

    Args:
        data: the bytes.
        start: where the message begins.
        end: where it ends.
        message: its type; fields that are messages by this type are read, too.
        limit: the maximum number of fields.

    Returns:
        The number of fields.

    Raises:
        TooManyFieldsError: there are more.
        MalformedError: the bytes are not a message.
    """
    count = 0
    pending = [(start, end, message.DESCRIPTOR, 0)]
    while pending:
        first, last, kind, depth = pending.pop()
        messages = {number: field.message_type for number, field in kind.fields_by_number.items() if field.message_type}
        if depth > _MAX_DEPTH:
            raise TooManyFieldsError("its messages are nested too deeply")
        for number, begin, stop in fields(data, first, last):
            count += 1
            if count > limit:
                raise TooManyFieldsError(f"it has more than {limit:,} fields")
            inner = messages.get(number)
            if inner is not None and stop > begin:
                pending.append((begin, stop, inner, depth + 1))
    return count

"""Configuration files of the server: protobuf messages in text format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tfserve.model_server import log
from tfserve.model_server.status import Code, StatusError, invalid_argument

if TYPE_CHECKING:
    from google.protobuf.message import Message

MessageT = TypeVar("MessageT", bound="Message")


def read_text_proto(path: Path, message: MessageT) -> MessageT:
    """Reads a file into `message`, which is returned. Where a file is wrong goes to the log, with line and column.

    Raises:
        StatusError: NOT_FOUND or another code for a file that cannot be read, INVALID_ARGUMENT for one that does not
            hold such a message.

    Source: ``util/proto_util.h`` of TensorFlow Serving.
    """
    from google.protobuf import text_format  # late: most servers have no such file

    try:
        return text_format.Parse(path.read_bytes(), message)
    except (text_format.ParseError, UnicodeDecodeError, RecursionError) as problem:
        log.error(f"Error parsing text-format {message.DESCRIPTOR.name}: {problem}")
        raise invalid_argument(f"Invalid protobuf file: '{path}'") from None
    except OSError as problem:
        codes = {FileNotFoundError: Code.NOT_FOUND, PermissionError: Code.PERMISSION_DENIED}
        code = codes.get(type(problem), Code.FAILED_PRECONDITION)
        raise StatusError(code, f"{path}; {os.strerror(problem.errno or 0)}") from None

"""Reads the files that flags name, which are in protobuf's text format, with the errors of the official server.

Source: ``util/proto_util.h`` of TensorFlow Serving.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tfserve.model_server import log
from tfserve.model_server.status import Code, StatusError, invalid_argument
from tfserve.protos.regular_file import open_regular
from tfserve.protos.text_files import TextError, parse_text

if TYPE_CHECKING:
    from google.protobuf.message import Message

_MessageT = TypeVar("_MessageT", bound="Message")

_MAX_BYTES = 8 * 2**20  # one of these files is the model's; the text format is parsed at about 1 MB/s

# Source: ``IOErrorToStatus`` of TensorFlow, for the errors that reading a file can have.
_CODES = {
    errno.ENOENT: Code.NOT_FOUND,
    errno.EACCES: Code.PERMISSION_DENIED,
    errno.EPERM: Code.PERMISSION_DENIED,
    errno.EISDIR: Code.FAILED_PRECONDITION,
    errno.ENOTDIR: Code.FAILED_PRECONDITION,
}


def read_message(path: Path, message: _MessageT) -> _MessageT:
    """Parses the file at `path` into `message`, and returns it.

    Raises:
        StatusError: the file cannot be read, or is not such a message; see `read_text_file` and `parse_text_file`.
    """
    return parse_text_file(path, read_text_file(path), message)


def read_text_file(path: Path) -> bytes:
    """Returns the content of a file.

    Raises:
        StatusError: the file cannot be read, or it is empty or too large (INVALID_ARGUMENT).
    """
    try:
        with open_regular(path) as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as failure:
        raise StatusError(_CODES.get(failure.errno or 0, Code.UNKNOWN), f"{path}; {failure.strerror}") from None
    if len(text) > _MAX_BYTES:
        raise invalid_argument(f"{path}; the file is larger than {_MAX_BYTES} bytes")
    if not text:  # the official server cannot map an empty file into memory
        raise invalid_argument(f"{path}; the file is empty")
    return text


def parse_text_file(path: Path, text: bytes, message: _MessageT) -> _MessageT:
    """Parses `text`, which was read from `path`, into `message`, and returns it.

    Raises:
        StatusError: INVALID_ARGUMENT, `text` is not such a message; the position of the error is logged.
    """
    try:
        return parse_text(text, message)
    except TextError as failure:
        log.error(f"Error parsing text-format tensorflow.serving.{message.DESCRIPTOR.name}: {failure}")
        raise invalid_argument(f"Invalid protobuf file: '{path}'") from None

"""Reads the files that flags name, messages in protobuf's text format, and fails as the official server does.

Source: ``util/proto_util.h`` of TensorFlow Serving.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tfserve.model_server import log
from tfserve.model_server.status import Code, StatusError, invalid_argument
from tfserve.protos.text_files import TextError, parse_text

if TYPE_CHECKING:
    from google.protobuf.message import Message

_MessageT = TypeVar("_MessageT", bound="Message")

# Source: ``IOErrorToStatus`` of TensorFlow, for what can happen to a file that is read.
_CODES = {
    errno.ENOENT: Code.NOT_FOUND,
    errno.EACCES: Code.PERMISSION_DENIED,
    errno.EPERM: Code.PERMISSION_DENIED,
    errno.EISDIR: Code.FAILED_PRECONDITION,
    errno.ENOTDIR: Code.FAILED_PRECONDITION,
}


def read_message(path: Path, message: _MessageT) -> _MessageT:
    """Fills `message` with what the file at `path` says, and returns it.

    Raises:
        StatusError: the file cannot be read, or does not stand for such a message; see `read_text_file` and
            `parse_text_file`.
    """
    return parse_text_file(path, read_text_file(path), message)


def read_text_file(path: Path) -> bytes:
    """Returns what is in a file.

    Raises:
        StatusError: it cannot be read, or nothing is in it: INVALID_ARGUMENT.
    """
    try:
        text = path.read_bytes()
    except OSError as failure:
        raise StatusError(_CODES.get(failure.errno or 0, Code.UNKNOWN), f"{path}; {failure.strerror}") from None
    if not text:  # which the official server cannot map into memory
        raise invalid_argument(f"{path}; the file is empty")
    return text


def parse_text_file(path: Path, text: bytes, message: _MessageT) -> _MessageT:
    """Fills `message` with what `text`, read from `path`, says, and returns it.

    Raises:
        StatusError: INVALID_ARGUMENT, it does not stand for such a message; the log says where it goes wrong.
    """
    try:
        return parse_text(text, message)
    except TextError as failure:
        log.error(f"Error parsing text-format tensorflow.serving.{message.DESCRIPTOR.name}: {failure}")
        raise invalid_argument(f"Invalid protobuf file: '{path}'") from None

"""The configuration files of the server: protobuf messages in text format."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from google.protobuf.message import Message

from tfserve.model_server.status import Code, StatusError, invalid_argument, not_found

M = TypeVar("M", bound=Message)


def read_text_proto(file: str, message: M) -> M:
    """Reads `file` into `message`, which must be empty, and returns it.

    Raises:
        StatusError: NOT_FOUND or another code, the file cannot be read; INVALID_ARGUMENT, it is no such message.
    """
    from google.protobuf import text_format  # only the flags that name a file pay for it

    try:
        text = Path(file).read_bytes()
    except FileNotFoundError:
        raise not_found(f"{file}; No such file or directory") from None
    except OSError as failure:
        raise StatusError(Code.FAILED_PRECONDITION, f"{file}; {failure.strerror}") from None
    try:
        return text_format.Parse(text, message)
    except (text_format.ParseError, UnicodeDecodeError, RecursionError) as failure:
        raise invalid_argument(f"Invalid protobuf file: '{file}': {failure}") from None

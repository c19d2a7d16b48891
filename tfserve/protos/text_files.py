"""Parses messages in protobuf's text format, and reports the position of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from google.protobuf.message import Message

_MessageT = TypeVar("_MessageT", bound="Message")


class TextError(ValueError):
    """A text that is not a message of the expected type.

    Args:
        problem: what is wrong, without the position.
        line: the line, counted from 1; 0 for the text as a whole.
        column: the column, counted from 1; 0 for the text as a whole.
    """

    def __init__(self, problem: str, line: int = 0, column: int = 0) -> None:
        super().__init__(f"{line}:{column}: {problem}" if line else problem)
        self.problem = problem
        self.line = line
        self.column = column


def parse_text(text: bytes, message: _MessageT) -> _MessageT:
    """Parses `text` into `message`, and returns it.

    Args:
        text: in protobuf's text format and UTF-8.
        message: a new message, with every field unset.

    Raises:
        TextError: the text is not such a message.
    """
    from google.protobuf import text_format

    try:
        text_format.Parse(text.decode(), message)
    except UnicodeDecodeError as failure:
        before = text[: failure.start]
        line = before.count(b"\n") + 1
        raise TextError("Invalid UTF-8", line, failure.start - before.rfind(b"\n")) from None
    except text_format.ParseError as failure:
        line, column = failure.GetLine() or 0, failure.GetColumn() or 0
        problem = str(failure).removeprefix(f"{line}:{column} : ")
        raise TextError(problem.replace("tfserve.protos.", "tensorflow.serving."), line, column) from None
    except (TypeError, ValueError, KeyError, RecursionError) as failure:  # google.protobuf.Any of an unknown type
        raise TextError(str(failure) or type(failure).__name__) from None
    return message

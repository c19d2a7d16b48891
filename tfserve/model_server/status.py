"""The status of a request or a load: TensorFlow's canonical codes, the error with such a code, and the HTTP status.

Sources: ``absl/status/status.h`` for names and numbers, and ``ToHTTPStatusCode`` of TensorFlow Serving.
"""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """Canonical status codes, as in ``TF_Code`` and gRPC."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


HTTP_STATUS = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}


class StatusError(Exception):
    """A failed request or load, as it is reported to the client.

    Args:
        code: any code but OK; a number that is not a canonical code becomes UNKNOWN.
        message: what went wrong, as in the ``error`` of a REST response.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = Code(code) if code in Code._value2member_map_ else Code.UNKNOWN
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


_MAX_MESSAGE = 4096
_KEPT_OF_A_LONG_ONE = _MAX_MESSAGE - 64  # what follows has room, so that it is not shortened again


def shortened(message: str) -> str:
    """Returns a message of at most 4096 characters for a client; a longer one is cut, and its length follows."""
    if len(message) <= _MAX_MESSAGE:
        return message
    return f"{message[:_KEPT_OF_A_LONG_ONE]}… ({len(message)} characters)"


def invalid_argument(message: str) -> StatusError:
    """Returns the error for a request that can never succeed."""
    return StatusError(Code.INVALID_ARGUMENT, message)


def not_found(message: str) -> StatusError:
    """Returns the error for a model or version that does not exist."""
    return StatusError(Code.NOT_FOUND, message)

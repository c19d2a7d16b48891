"""Reading the messages of gRPC requests."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from tfserve.model_server.status import Code, StatusError

AnyMessage = TypeVar("AnyMessage", bound=Message)


def read_message(kind: type[AnyMessage], body: bytes) -> AnyMessage:
    """Returns a serialized message.

    Raises:
        StatusError: INTERNAL, it is none; the code with which gRPC's own servers refuse it.
    """
    try:
        return kind.FromString(body)
    except DecodeError:
        raise StatusError(Code.INTERNAL, f"The request is not a {kind.DESCRIPTOR.name}") from None

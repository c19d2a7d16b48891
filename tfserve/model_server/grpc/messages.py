"""What all requests of the gRPC APIs have in common: the bytes of a message, and which model they ask for."""

from __future__ import annotations

import functools
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from tfserve.model_server.models.manager import ModelSpec
from tfserve.model_server.status import invalid_argument
from tfserve.protos import apis_pb2

_M = TypeVar("_M", bound=Message)


def parse(message_class: type[_M], body: bytes) -> _M:
    """Reads a message.

    Raises:
        StatusError: INVALID_ARGUMENT, `body` is not one.
    """
    try:
        return message_class.FromString(body)
    except DecodeError:
        raise invalid_argument(f"The request is not a {message_class.DESCRIPTOR.name}") from None


def model_of(request: Message) -> ModelSpec:
    """Returns which model a request is for.

    Args:
        request: any message with a ``model_spec``.

    Raises:
        StatusError: INVALID_ARGUMENT, it does not say.
    """
    spec = model_spec(request)
    if not spec.name:
        raise invalid_argument("ModelSpec has no name specified.")
    choice = spec.WhichOneof("version_choice")
    if choice is None:
        return ModelSpec(spec.name)
    if choice == "version":
        return ModelSpec(spec.name, spec.version.value)
    return ModelSpec(spec.name, None, spec.version_label)


def model_spec(request: Any) -> apis_pb2.ModelSpec:
    """Returns the ``model_spec`` of a request.

    Raises:
        StatusError: INVALID_ARGUMENT, it has none.
    """
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    spec: apis_pb2.ModelSpec = request.model_spec
    return spec


@functools.lru_cache(maxsize=1024)
def answered_by(name: str, version: int, signature: str) -> bytes:
    """Returns the serialized ``ModelSpec`` of a response: which model, version and signature gave it."""
    spec = apis_pb2.ModelSpec(name=name, signature_name=signature)
    spec.version.value = version
    serialized: bytes = spec.SerializeToString()
    return serialized

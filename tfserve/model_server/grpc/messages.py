"""The parts that the messages of all gRPC methods share: parsing, and the model that they name."""

from __future__ import annotations

import functools
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from tfserve.model_server.models.manager import ModelSpec
from tfserve.model_server.runtime.servable import DEFAULT_SIGNATURE, Servable
from tfserve.model_server.status import Code, StatusError, invalid_argument
from tfserve.protos import apis_pb2

AnyMessage = TypeVar("AnyMessage", bound=Message)


def read_message(kind: type[AnyMessage], body: bytes) -> AnyMessage:
    """Parses a serialized message.

    Raises:
        StatusError: INTERNAL, `body` is not such a message; gRPC's own servers use this code.
    """
    try:
        return kind.FromString(body)
    except DecodeError:
        raise StatusError(Code.INTERNAL, f"The request is not a {kind.DESCRIPTOR.name}") from None


def model_spec(request: Any) -> apis_pb2.ModelSpec:
    """Returns the ``model_spec`` of a request.

    Raises:
        StatusError: INVALID_ARGUMENT, the request has none.
    """
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    spec: apis_pb2.ModelSpec = request.model_spec
    return spec


def requested_model(spec: apis_pb2.ModelSpec) -> ModelSpec:
    """Returns the model that a ``ModelSpec`` message names.

    Raises:
        StatusError: INVALID_ARGUMENT, the name is empty.
    """
    if not spec.name:
        raise invalid_argument("ModelSpec has no name specified.")
    choice = spec.WhichOneof("version_choice")
    if choice is None:
        return ModelSpec(spec.name)
    if choice == "version":
        return ModelSpec(spec.name, spec.version.value)
    return ModelSpec(spec.name, label=spec.version_label)


def fill_model_spec(spec: apis_pb2.ModelSpec, requested: apis_pb2.ModelSpec, servable: Servable) -> None:
    """Fills the ``model_spec`` of a response to a request whose ``model_spec`` is `requested`."""
    spec.name = requested.name
    spec.signature_name = requested.signature_name or DEFAULT_SIGNATURE
    spec.version.value = servable.version


@functools.lru_cache(maxsize=1024)
def serialized_model_spec(name: str, version: int, signature: str) -> bytes:
    """Returns the serialized ``ModelSpec`` of a response."""
    spec = apis_pb2.ModelSpec(name=name, signature_name=signature)
    spec.version.value = version
    serialized: bytes = spec.SerializeToString()
    return serialized

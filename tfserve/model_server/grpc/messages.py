"""What the messages of all gRPC methods have in common: their bytes, which model they ask, which one has answered."""

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
    """Returns a serialized message.

    Raises:
        StatusError: INTERNAL, `body` is none; the code with which gRPC's own servers refuse it.
    """
    try:
        return kind.FromString(body)
    except DecodeError:
        raise StatusError(Code.INTERNAL, f"The request is not a {kind.DESCRIPTOR.name}") from None


def model_spec(request: Any) -> apis_pb2.ModelSpec:
    """Returns the ``model_spec`` of a request.

    Raises:
        StatusError: INVALID_ARGUMENT, it has none.
    """
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    spec: apis_pb2.ModelSpec = request.model_spec
    return spec


def requested_model(spec: apis_pb2.ModelSpec) -> ModelSpec:
    """Returns the model that a message asks for.

    Raises:
        StatusError: INVALID_ARGUMENT, it does not say which one.
    """
    if not spec.name:
        raise invalid_argument("ModelSpec has no name specified.")
    choice = spec.WhichOneof("version_choice")
    if choice is None:
        return ModelSpec(spec.name)
    if choice == "version":
        return ModelSpec(spec.name, spec.version.value)
    return ModelSpec(spec.name, label=spec.version_label)


def fill_model_spec(spec: apis_pb2.ModelSpec, asked: apis_pb2.ModelSpec, servable: Servable) -> None:
    """Makes `spec` say what answered a request that asked for `asked`."""
    spec.name = asked.name
    spec.signature_name = asked.signature_name or DEFAULT_SIGNATURE
    spec.version.value = servable.version


@functools.lru_cache(maxsize=1024)
def answered_by(name: str, version: int, signature: str) -> bytes:
    """Returns the serialized ``ModelSpec`` of a response: which model, version and signature gave it."""
    spec = apis_pb2.ModelSpec(name=name, signature_name=signature)
    spec.version.value = version
    serialized: bytes = spec.SerializeToString()
    return serialized

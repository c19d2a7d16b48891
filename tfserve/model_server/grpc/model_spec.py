"""The model spec of gRPC messages: which model a request asks, and which one has answered."""

from __future__ import annotations

from tfserve.model_server.models.manager import ModelSpec
from tfserve.model_server.runtime.servable import DEFAULT_SIGNATURE, Servable
from tfserve.model_server.status import invalid_argument
from tfserve.protos import apis_pb2


def asked_model(spec: apis_pb2.ModelSpec) -> ModelSpec:
    """Returns the model that a message asks for.

    Raises:
        StatusError: INVALID_ARGUMENT, it does not say which one.
    """
    if not spec.name:
        raise invalid_argument("ModelSpec has no name specified.")
    choice = spec.WhichOneof("version_choice")
    if choice == "version":
        return ModelSpec(spec.name, spec.version.value)
    return ModelSpec(spec.name, label=spec.version_label if choice else None)


def fill_model_spec(spec: apis_pb2.ModelSpec, asked: apis_pb2.ModelSpec, servable: Servable) -> None:
    """Makes `spec` say what answered a request that asked for `asked`."""
    spec.name = asked.name
    spec.signature_name = asked.signature_name or DEFAULT_SIGNATURE
    spec.version.value = servable.version

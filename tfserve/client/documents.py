"""Reads the status and metadata documents of the REST API.

They are protobuf messages printed as JSON, so 64-bit integers are strings. Their structure is checked completely, as
any program may listen at the address. Sources: ``tensorflow_serving/apis/get_model_status.proto`` and
``get_model_metadata.proto``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfserve.client.failures import malformed
from tfserve.client.shapes import MAX_RANK
from tfserve.models.saved_model import Signature, TensorSpec
from tfserve.protos.version_status import VersionStatus

__all__ = ["ModelMetadata", "read_metadata", "read_status"]


@dataclass(frozen=True)
class ModelMetadata:
    """The metadata of one version of a model.

    Attributes:
        name: the name of the model.
        version: the version, or None if the server does not report it.
        signatures: the signatures by name, in alphabetical order, without TensorFlow's internal ones.
        document: the server's response, parsed.
    """

    name: str
    version: int | None
    signatures: Mapping[str, Signature]
    document: Mapping[str, Any]


class _UnexpectedError(Exception):
    """A part of a document has an unexpected form; the message says which part."""


def read_status(url: str, document: Any) -> tuple[VersionStatus, ...]:
    """Reads the response to ``GET /v1/models/NAME``.

    Raises:
        RequestError: `document` is not a GetModelStatusResponse.
    """
    try:
        versions = _list(_object(document, "the status"), "model_version_status")
        return tuple(_version_status(entry) for entry in versions)
    except _UnexpectedError as error:
        raise malformed(url, f"in the status, {error}") from None


def read_metadata(url: str, model: str, document: Any) -> ModelMetadata:
    """Reads the response to ``GET /v1/models/NAME/metadata``; `model` is the name in the request.

    Raises:
        RequestError: `document` is not a GetModelMetadataResponse.
    """
    try:
        whole = _object(document, "the metadata")
        spec = _object(whole.get("model_spec", {}), "model_spec")
        outer = _object(_object(whole.get("metadata"), "metadata").get("signature_def"), "signature_def")
        signatures = _object(outer.get("signature_def"), "signature_def.signature_def")
        version = spec.get("version")
        return ModelMetadata(
            name=_text(spec, "name", model),
            version=None if version is None else _integer(version, "version"),
            signatures={name: _signature(signatures[name]) for name in sorted(signatures) if not name.startswith("__")},
            document=whole,
        )
    except _UnexpectedError as error:
        raise malformed(url, f"in the metadata, {error}") from None


def _version_status(entry: Any) -> VersionStatus:
    version = _object(entry, "a version")
    status = _object(version.get("status", {}), "status")
    return VersionStatus(
        version=_integer(version.get("version", 0), "version"),
        state=_text(version, "state", "UNKNOWN"),
        error_code=_text(status, "error_code", "OK"),
        error_message=_text(status, "error_message", ""),
    )


def _signature(entry: Any) -> Signature:
    signature = _object(entry, "a signature")
    return Signature(
        method=_text(signature, "method_name", ""),
        inputs=_tensor_specs(signature.get("inputs", {}), "inputs"),
        outputs=_tensor_specs(signature.get("outputs", {}), "outputs"),
    )


def _tensor_specs(entry: Any, where: str) -> dict[str, TensorSpec]:
    specs = _object(entry, where)
    return {key: _tensor_spec(specs[key]) for key in sorted(specs)}


def _tensor_spec(entry: Any) -> TensorSpec:
    info = _object(entry, "a tensor")
    dtype = info.get("dtype", "DT_INVALID")
    if isinstance(dtype, int) and not isinstance(dtype, bool):  # a type that is unknown to the server itself
        dtype = f"DT_{dtype}"
    if not isinstance(dtype, str):
        raise _UnexpectedError("dtype is not a string")
    shape = _object(info.get("tensor_shape", {}), "tensor_shape")
    if shape.get("unknown_rank", False) is True:
        return TensorSpec(dtype, None)
    dimensions = _list(shape, "dim")
    if len(dimensions) > MAX_RANK:
        raise _UnexpectedError(f"a tensor has {len(dimensions)} dimensions")
    sizes = tuple(_integer(_object(dimension, "dim").get("size", 0), "size") for dimension in dimensions)
    if any(size < -1 for size in sizes):
        raise _UnexpectedError("a size is less than -1")
    return TensorSpec(dtype, sizes)


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _UnexpectedError(f"{where} is not an object")
    return value


def _list(parent: Mapping[str, Any], key: str) -> list[Any]:
    value = parent.get(key, [])
    if not isinstance(value, list):
        raise _UnexpectedError(f"{key} is not a list")
    return value


def _text(parent: Mapping[str, Any], key: str, default: str) -> str:
    value = parent.get(key, default)
    if not isinstance(value, str):
        raise _UnexpectedError(f"{key} is not a string")
    return value


def _integer(value: Any, where: str) -> int:
    """Returns an int64, which the JSON format of proto3 represents as a string of digits."""
    if isinstance(value, str) and len(value) <= 20 and value.isascii() and value.lstrip("-").isdigit():
        try:
            value = int(value)
        except ValueError:
            value = None
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
        raise _UnexpectedError(f"{where} is not an integer of 64 bits")
    return value

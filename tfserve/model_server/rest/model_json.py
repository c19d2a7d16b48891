"""Status and metadata of a model as JSON, exactly as protobuf prints the responses of the official server.

Field order, indentation and number formats are those of protobuf's C++ printer with whitespace and default values:
fields in the order of their numbers, 64-bit integers as strings.
Sources: ``http_rest_api_util.cc``, ``get_model_status.proto`` and ``get_model_metadata.proto`` of TensorFlow Serving.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from google.protobuf.json_format import MessageToDict

from tfserve.model_server.runtime.servable import Servable
from tfserve.protos.saved_model_pb2 import DataType, SignatureDef, TensorInfo, TensorShapeProto
from tfserve.protos.version_status import VersionStatus


def status_json(statuses: Iterable[VersionStatus]) -> bytes:
    """Returns a ``GetModelStatusResponse``."""
    versions = [
        {
            "version": str(status.version),
            "state": status.state,
            "status": {"error_code": status.error_code, "error_message": status.error_message},
        }
        for status in statuses
    ]
    return f"{_dump({'model_version_status': versions})}\n".encode()


def metadata_json(servable: Servable) -> bytes:
    """Returns a ``GetModelMetadataResponse`` with the signatures of the model, sorted by name."""
    spec = {"name": servable.name, "version": str(servable.version), "signature_name": ""}
    definitions = servable.signatures
    signatures = {"signature_def": {name: _signature(definitions[name].definition) for name in sorted(definitions)}}
    text = f'{{\n"model_spec":{_dump(spec)}\n,\n"metadata": {{"signature_def": {_dump(signatures)}\n}}\n}}\n'
    return text.encode()


def _dump(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)


def _signature(definition: SignatureDef) -> dict[str, Any]:
    return {
        "inputs": {alias: _tensor_info(definition.inputs[alias]) for alias in sorted(definition.inputs)},
        "outputs": {alias: _tensor_info(definition.outputs[alias]) for alias in sorted(definition.outputs)},
        "method_name": definition.method_name,
        "defaults": {
            alias: MessageToDict(definition.defaults[alias], preserving_proto_field_name=True)
            for alias in sorted(definition.defaults)
        },
    }


def _tensor_info(info: TensorInfo) -> dict[str, Any]:
    value = DataType.DESCRIPTOR.values_by_number.get(info.dtype)
    typed = {"dtype": value.name if value else info.dtype, "tensor_shape": _shape(info.tensor_shape)}
    if info.HasField("coo_sparse"):
        sparse = info.coo_sparse
        return typed | {
            "coo_sparse": {
                "values_tensor_name": sparse.values_tensor_name,
                "indices_tensor_name": sparse.indices_tensor_name,
                "dense_shape_tensor_name": sparse.dense_shape_tensor_name,
            }
        }
    return {"name": info.name} | typed


def _shape(shape: TensorShapeProto) -> dict[str, Any]:
    return {
        "dim": [{"size": str(dim.size), "name": dim.name} for dim in shape.dim],
        "unknown_rank": shape.unknown_rank,
    }

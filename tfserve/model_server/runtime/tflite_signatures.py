"""The signatures of a LiteRT model: those in its metadata, or one that is generated from its tensors.

Sources: ``tflite_session.cc`` of TensorFlow Serving, ``signature_def_util.cc`` of TensorFlow Lite.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from tfserve.model_server import log
from tfserve.model_server.runtime.servable import DEFAULT_SIGNATURE
from tfserve.model_server.status import Code, StatusError, invalid_argument
from tfserve.protos.field_count import check_field_count
from tfserve.protos.saved_model_pb2 import DataType, SignatureDef

Tensor = Mapping[str, Any]
"""An interpreter's description of a tensor: name, index, shape, dtype."""

METADATA = "signature_defs_metadata"
"""Name of the metadata with signatures: a FlexBuffers map of names to serialized ``SignatureDef`` messages."""

_MAX_FIELDS = 100_000  # of one signature
_PREDICT = "tensorflow/serving/predict"

_DTYPES: dict[type[Any], DataType] = {
    np.float32: DataType.DT_FLOAT,
    np.int32: DataType.DT_INT32,
    np.uint8: DataType.DT_UINT8,
    np.int64: DataType.DT_INT64,
    np.bytes_: DataType.DT_STRING,
    np.bool_: DataType.DT_BOOL,
    np.int16: DataType.DT_INT16,
    np.complex64: DataType.DT_COMPLEX64,
    np.int8: DataType.DT_INT8,
}


def signatures_of(content: bytes, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> dict[str, SignatureDef]:
    """Returns the signatures of a model, by name; every tensor that they name exists.

    Args:
        content: the content of the model's file.
        inputs: the input tensors of the model.
        outputs: its output tensors.

    Raises:
        StatusError: INVALID_ARGUMENT, the metadata cannot be parsed; INTERNAL, it names a tensor that does not exist,
            or the type of a tensor is unknown.
    """
    stored = _stored(content)
    for definition in stored.values():
        _fix_names(definition.inputs, "input", inputs)
        _fix_names(definition.outputs, "output", outputs)
    if not stored:
        log.warning("No signature def found in TFLite model. Generating one.")
        stored = {DEFAULT_SIGNATURE: _generated(_by_alias(inputs), _by_alias(outputs))}
    return stored


def _stored(content: bytes) -> dict[str, SignatureDef]:
    """Returns the signatures in the metadata; none if the packages that parse the file are not installed."""
    try:
        from ai_edge_litert import schema_py_generated as schema
        from flatbuffers import flexbuffers
    except ImportError:
        return {}
    try:
        model = schema.Model.GetRootAs(content)
        for index in range(model.MetadataLength()):
            metadata = model.Metadata(index)
            if metadata.Name() == METADATA.encode():
                packed = model.Buffers(metadata.Buffer()).DataAsNumpy().tobytes()
                items = flexbuffers.GetRoot(packed).AsMap
                names = [key.AsKey for key in items.Keys]
                texts = [bytes(item.AsStringBytes) for item in items.Values]
                for text in texts:
                    check_field_count(text, 0, len(text), SignatureDef, _MAX_FIELDS)
                return {name: SignatureDef.FromString(text) for name, text in zip(names, texts, strict=True)}
    except (AttributeError, DecodeError, IndexError, TypeError, ValueError, struct.error) as failure:
        raise invalid_argument(f"Invalid SignatureDefs found in TfLite model: {failure}") from None
    return {}


def _fix_names(infos: Mapping[str, Any], kind: str, tensors: Sequence[Tensor]) -> None:
    """Corrects the names of tensors: early converters removed the output number from the names in the model."""
    names = {tensor["name"] for tensor in tensors}
    for alias, info in infos.items():
        if info.name not in names:
            legacy = info.name.partition(":")[0]
            if legacy not in names:
                problem = f"Unknown tensor '{info.name}'.\n\tSignature {kind} {alias} references an unknown tensor"
                raise StatusError(Code.INTERNAL, problem)
            info.name = legacy


def _by_alias(tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    """Returns tensors by name without the output number, which is kept if the names would otherwise be equal."""
    operations = Counter(_operation(tensor) for tensor in tensors)
    return {
        _operation(tensor) if operations[_operation(tensor)] == 1 else str(tensor["name"]): tensor for tensor in tensors
    }


def _operation(tensor: Tensor) -> str:
    name: str = tensor["name"]
    return name.partition(":")[0]


def _generated(inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> SignatureDef:
    """Returns a signature with all tensors of a model."""
    definition = SignatureDef(method_name=_PREDICT)
    for infos, tensors in ((definition.inputs, inputs), (definition.outputs, outputs)):
        for alias, tensor in tensors.items():
            if tensor["dtype"] not in _DTYPES:
                raise StatusError(Code.INTERNAL, f"Unknown TfLite type: {tensor['dtype'].__name__}")
            infos[alias].name = tensor["name"]
            infos[alias].dtype = _DTYPES[tensor["dtype"]]
            for size in tensor["shape"]:
                infos[alias].tensor_shape.dim.add(size=int(size))
    return definition

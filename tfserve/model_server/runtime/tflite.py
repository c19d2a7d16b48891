"""A LiteRT (TensorFlow Lite) model in a pool of interpreters, each of which runs one request at a time.

Source: ``tflite_session.cc`` and ``saved_model_bundle_factory.cc`` of TensorFlow Serving.
"""

from __future__ import annotations

import importlib
import queue
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfserve.model_server import log
from tfserve.model_server.runtime.servable import DEFAULT_SIGNATURE, Servable, Signature
from tfserve.model_server.status import Code, StatusError, invalid_argument
from tfserve.protos.dtypes import Array
from tfserve.protos.saved_model_pb2 import DataType, SignatureDef

MODEL_FILE = "model.tflite"
"""Name of the model in a SavedModel directory."""

_PACKAGES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")
_Tensor = Mapping[str, Any]  # what an interpreter tells of a tensor: name, index, shape, dtype

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


def is_installed() -> bool:
    """Returns whether a package is there that runs LiteRT models."""
    return _package() is not None


def _package() -> Any | None:
    for name in _PACKAGES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


class _Interpreter:
    """One interpreter, made ready for inputs of any shape."""

    def __init__(self, content: bytes) -> None:
        package = _package()
        assert package is not None  # noqa: S101, for the types: `is_installed` said so
        try:
            self._interpreter = package.Interpreter(model_content=content, num_threads=1)
        except ValueError:
            raise invalid_argument("Cannot build FlatBufferModel from buffer.") from None
        self.inputs: list[_Tensor] = self._interpreter.get_input_details()
        self.outputs: list[_Tensor] = self._interpreter.get_output_details()
        self._shapes: dict[int, tuple[int, ...]] = {}  # as last allocated

    def run(self, inputs: Mapping[int, Array], outputs: Mapping[str, int]) -> dict[str, Array]:
        """Returns the values of output tensors, by alias, for the values of input tensors, by index."""
        shapes = {index: array.shape for index, array in inputs.items()}
        try:
            if shapes != self._shapes:
                self._shapes = {}
                for index, shape in shapes.items():
                    self._interpreter.resize_tensor_input(index, shape)
                self._interpreter.allocate_tensors()
                self._shapes = shapes
            for index, array in inputs.items():
                self._interpreter.set_tensor(index, array)
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as failure:
            raise StatusError(Code.INTERNAL, f"Failed to invoke TfLite interpreter: {failure}") from None
        return {alias: self._interpreter.get_tensor(index) for alias, index in outputs.items()}


class TfliteServable(Servable):
    """A LiteRT model, whose only signature has the names of its tensors.

    Args:
        name: the model's name.
        version: its version, a number.
        file: the model.
        interpreters: how many requests run at the same time.

    Raises:
        StatusError: it cannot be read, or is no model for LiteRT.
    """

    def __init__(self, name: str, version: int, file: Path, interpreters: int) -> None:
        self.name = name
        self.version = version
        content = file.read_bytes()
        self._pool: queue.LifoQueue[_Interpreter] = queue.LifoQueue()
        for _ in range(interpreters):
            self._pool.put(first := _Interpreter(content))
        log.warning("No signature def found in TFLite model. Generating one.")
        inputs, outputs = _by_alias(first.inputs), _by_alias(first.outputs)
        self._inputs = {alias: tensor["index"] for alias, tensor in inputs.items()}
        self._outputs = {alias: tensor["index"] for alias, tensor in outputs.items()}
        self.signatures = {DEFAULT_SIGNATURE: Signature(_definition(inputs, outputs))}

    def close(self) -> None:
        """Frees the interpreters."""
        while not self._pool.empty():
            self._pool.get()

    def _run(
        self, signature: Signature, arrays: Mapping[str, Array], outputs: tuple[str, ...], timeout_ms: int | None
    ) -> dict[str, Array]:
        interpreter = self._pool.get()
        try:
            return interpreter.run(
                {self._inputs[alias]: arrays[alias] for alias in signature.inputs},
                {alias: self._outputs[alias] for alias in outputs},
            )
        finally:
            self._pool.put(interpreter)


def _by_alias(tensors: Sequence[_Tensor]) -> dict[str, _Tensor]:
    """Returns tensors by their names without the number of the output, but for those whose names would be the same."""
    operations = Counter(_operation(tensor) for tensor in tensors)
    return {
        _operation(tensor) if operations[_operation(tensor)] == 1 else str(tensor["name"]): tensor for tensor in tensors
    }


def _operation(tensor: _Tensor) -> str:
    name: str = tensor["name"]
    return name.partition(":")[0]


def _definition(inputs: Mapping[str, _Tensor], outputs: Mapping[str, _Tensor]) -> SignatureDef:
    """Returns the signature that the tensors of a model make."""
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

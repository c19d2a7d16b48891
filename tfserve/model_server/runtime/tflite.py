"""A LiteRT (TensorFlow Lite) model in a pool of interpreters, each of which runs one request at a time.

Source: ``tflite_session.cc`` and ``saved_model_bundle_factory.cc`` of TensorFlow Serving.
"""

from __future__ import annotations

import importlib
import queue
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfserve.model_server.runtime.servable import Servable, Signature
from tfserve.model_server.runtime.tflite_signatures import Tensor, signatures_of
from tfserve.model_server.status import Code, StatusError, invalid_argument
from tfserve.protos.dtypes import Array
from tfserve.protos.regular_file import open_regular

MODEL_FILE = "model.tflite"
"""Name of the model in a SavedModel directory."""

_PACKAGES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")


def is_installed() -> bool:
    """Returns whether a package that runs LiteRT models is installed."""
    return _package() is not None


def _package() -> Any | None:
    for name in _PACKAGES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


class _Interpreter:
    """One interpreter, which is resized for inputs of any shape."""

    def __init__(self, content: bytes) -> None:
        package = _package()
        assert package is not None  # noqa: S101, for the types: `is_installed` returned True
        try:
            self._interpreter = package.Interpreter(model_content=content, num_threads=1)
        except ValueError:
            raise invalid_argument("Cannot build FlatBufferModel from buffer.") from None
        self.inputs: list[Tensor] = self._interpreter.get_input_details()
        self.outputs: list[Tensor] = self._interpreter.get_output_details()
        self._shapes: dict[int, tuple[int, ...]] = {}  # the input shapes that memory is allocated for

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
    """A LiteRT model, with the signatures in its metadata or one with the names of its tensors.

    Args:
        name: the model's name.
        version: its version, a number.
        file: the path of the model.
        interpreters: how many requests run at the same time.

    Raises:
        StatusError: the file cannot be read, or is not a LiteRT model.
    """

    def __init__(self, name: str, version: int, file: Path, interpreters: int) -> None:
        self.name = name
        self.version = version
        with open_regular(file) as opened:
            content = opened.read()
        self._pool: queue.LifoQueue[_Interpreter] = queue.LifoQueue()
        for _ in range(interpreters):
            self._pool.put(first := _Interpreter(content))
        self._inputs = {tensor["name"]: tensor["index"] for tensor in first.inputs}
        self._outputs = {tensor["name"]: tensor["index"] for tensor in first.outputs}
        definitions = signatures_of(content, first.inputs, first.outputs)
        self.signatures = {name: Signature(definition) for name, definition in definitions.items()}

    def close(self) -> None:
        while not self._pool.empty():
            self._pool.get()

    def _run(
        self, signature: Signature, arrays: Mapping[str, Array], outputs: tuple[str, ...], timeout_ms: int | None
    ) -> dict[str, Array]:
        definition = signature.definition
        interpreter = self._pool.get()
        try:
            return interpreter.run(
                {self._inputs[definition.inputs[alias].name]: arrays[alias] for alias in signature.inputs},
                {alias: self._outputs[definition.outputs[alias].name] for alias in outputs},
            )
        finally:
            self._pool.put(interpreter)

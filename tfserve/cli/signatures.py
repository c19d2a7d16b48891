"""Shows the signatures of a model, from a file or from a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfserve.models.saved_model import Signature, TensorSpec
from tfserve.text import printable

__all__ = ["signature_lines", "signatures_json"]


def signatures_json(signatures: Mapping[str, Signature]) -> dict[str, Any]:
    """Returns signatures in the form that ``inspect --json`` prints."""
    return {
        name: {
            "method": signature.method,
            "inputs": {key: _tensor_json(spec) for key, spec in signature.inputs.items()},
            "outputs": {key: _tensor_json(spec) for key, spec in signature.outputs.items()},
        }
        for name, signature in signatures.items()
    }


def signature_lines(signatures: Mapping[str, Signature]) -> list[str]:
    """Returns signatures as text: a line for each, and a line for each of its inputs and outputs."""
    lines = []
    for name, signature in signatures.items():
        lines.append(f"  {printable(name)}  {printable(signature.method) or 'no method'}")
        tensors = [("in", printable(key), spec) for key, spec in signature.inputs.items()]
        tensors += [("out", printable(key), spec) for key, spec in signature.outputs.items()]
        width = max((len(key) for _, key, _ in tensors), default=0)
        lines += [f"    {way:<3}  {key:<{width}}  {spec.dtype}  {_shape(spec)}" for way, key, spec in tensors]
    return lines


def _tensor_json(spec: TensorSpec) -> dict[str, Any]:
    return {"dtype": spec.dtype, "shape": None if spec.shape is None else list(spec.shape)}


def _shape(spec: TensorSpec) -> str:
    return "unknown rank" if spec.shape is None else f"({', '.join(map(str, spec.shape))})"

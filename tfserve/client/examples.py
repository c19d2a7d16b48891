"""Describes the inputs of a signature, with an example command; errors about requests include both."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import islice

from tfserve.client.row_column import DEFAULT_SIGNATURE
from tfserve.client.shapes import is_batched, shape_text
from tfserve.client.values import Value, is_sendable
from tfserve.models.saved_model import Signature, TensorSpec
from tfserve.text import printable, shell_quoted

__all__ = ["describe_inputs", "example_arguments", "example_hint"]

_MAX_INPUTS = 100
_MAX_VALUES = 12
_UNKNOWN_SIZE = 2


def describe_inputs(signature: Signature) -> str:
    """Returns the inputs of `signature`, one per line: ``x  DT_FLOAT  (-1, 3)``; of very many, the first ones."""
    shown = islice(signature.inputs.items(), _MAX_INPUTS)
    rows = [(printable(key), printable(spec.dtype), shape_text(spec.shape)) for key, spec in shown]
    if (more := len(signature.inputs) - _MAX_INPUTS) > 0:
        rows.append(("…", f"{more:,} more", ""))
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    return "\n".join(f"{key:<{widths[0]}}  {dtype:<{widths[1]}}  {shape}" for key, dtype, shape in rows)


def example_arguments(signature: Signature) -> list[str] | None:
    """Returns arguments of ``tfserve predict`` that match `signature`, or None if they would be too long to read."""
    if len(signature.inputs) == 1:
        return _values(next(iter(signature.inputs.values())))
    arguments: list[str] = []
    for key, spec in signature.inputs.items():
        values = _values(spec)
        if values is None:
            return None
        arguments += ("--input", f"{key}={values[0]}")
    return arguments


def example_hint(signature: Signature, name: str) -> str:
    """Returns a hint with a working command for the signature `name`."""
    arguments = example_arguments(signature)
    if arguments is None:
        return "Put a request of this size into a file: tfserve predict NAME --data request.json"
    if name != DEFAULT_SIGNATURE:
        arguments = ["--signature", name, *arguments]
    return printable(f"For example: tfserve predict NAME {' '.join(map(shell_quoted, arguments))}")


def _values(spec: TensorSpec) -> list[str] | None:
    """Returns example values for one tensor: several instances if they are scalars, else one."""
    shape = spec.shape
    if not is_sendable(spec.dtype) or (shape is not None and 0 in shape):
        return None
    numbers = _numbers(spec.dtype)
    if shape is None or shape == (-1,):
        return [_typed(next(numbers)) for _ in range(3)]
    sizes = [_UNKNOWN_SIZE if size == -1 else size for size in (shape[1:] if is_batched(shape) else shape)]
    if math.prod(sizes) > _MAX_VALUES or len(sizes) > _MAX_VALUES:
        return None

    def nested(remaining: list[int]) -> Value:
        return [nested(remaining[1:]) for _ in range(remaining[0])] if remaining else next(numbers)

    return [_typed(nested(sizes))]


def _typed(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _numbers(dtype: str) -> Iterator[Value]:
    for count in range(1, 1000):
        if dtype == "DT_BOOL":
            yield count % 2 == 1
        elif dtype == "DT_STRING":
            yield f"text {count}"
        else:
            yield float(count) if dtype in ("DT_FLOAT", "DT_DOUBLE") else count

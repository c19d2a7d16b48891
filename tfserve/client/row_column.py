"""The two formats of a predict request: rows ("instances") and columns ("inputs").

Source: ``tensorflow_serving/g3doc/api_rest.md``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

from tfserve.client.shapes import is_batched
from tfserve.client.values import Value
from tfserve.errors import Attribute, UsageError, Wording
from tfserve.models.saved_model import Signature
from tfserve.text import printable

__all__ = [
    "DEFAULT_SIGNATURE",
    "REQUEST_HINT",
    "Format",
    "batch_size",
    "check_row",
    "encode_request",
    "encode_tensors",
    "natural_format",
]

Format = Literal["row", "column"]

DEFAULT_SIGNATURE = "serving_default"
REQUEST_HINT = 'Write a request like this: {"instances": [1.0, 2.0, 5.0]}'


def batch_size(tensor: Value) -> int | None:
    """Returns the size of the first dimension of `tensor`, or None for a single value."""
    return len(tensor) if isinstance(tensor, list) else None


def natural_format(tensors: Mapping[str, Value], signature: Signature) -> Format:
    """Returns "row" if all inputs and outputs are batches; else "column", which is always possible."""
    specs = (*signature.inputs.values(), *signature.outputs.values())
    sizes = {batch_size(tensor) for tensor in tensors.values()}
    return "row" if all(is_batched(spec.shape) for spec in specs) and len(sizes) == 1 and sizes != {0} else "column"


def check_row(tensors: Mapping[str, Value]) -> None:
    """Checks that `tensors` can be sent as rows.

    Raises:
        UsageError: they have no instances, or different numbers of them.
    """
    sizes = {key: batch_size(tensor) for key, tensor in tensors.items()}
    hint = Wording("Use {format}.", format=Attribute("format", "column"))
    scalars = [printable(key) for key, size in sizes.items() if size is None]
    if scalars:
        raise UsageError(f"{', '.join(scalars)} has no instances, which the row format requires.", hint=hint)
    if 0 in sizes.values():
        raise UsageError("The row format requires at least one instance.", hint=hint)
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{printable(key)} has {size}" for key, size in sizes.items())
        raise UsageError(f"The row format requires the same number of instances for every input; {listed}.", hint=hint)


def encode_tensors(tensors: Mapping[str, Value], request_format: Format) -> str:
    """Returns the JSON of "instances" or "inputs" for tensors by name; the name of a single input is omitted."""
    return json.dumps(_content(tensors, request_format), ensure_ascii=False, separators=(",", ":"))


def encode_request(signature_name: str, request_format: Format, content: str) -> bytes:
    """Returns a request body in UTF-8 with `content`, the JSON of "instances" or "inputs"."""
    signature = "" if signature_name == DEFAULT_SIGNATURE else f'"signature_name":{json.dumps(signature_name)},'
    key = "instances" if request_format == "row" else "inputs"
    return f'{{{signature}"{key}":{content}}}'.encode("utf-8", "surrogatepass")


def _content(tensors: Mapping[str, Value], request_format: Format) -> Value:
    if len(tensors) == 1:
        return next(iter(tensors.values()))
    if request_format == "column":
        return tensors
    return [dict(zip(tensors, items, strict=True)) for items in zip(*tensors.values(), strict=True)]

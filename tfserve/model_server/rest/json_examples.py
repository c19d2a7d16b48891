"""Converts the body of a REST classify or regress request to serialized ``tf.train.Example`` messages.

Sources: ``json_tensor.cc`` and ``api_rest.md`` of TensorFlow Serving.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfserve.model_server.rest.json_input import format_error, parse_document, signature_of
from tfserve.model_server.rest.json_values import decode_base64, encode_text, is_base64, json_type
from tfserve.model_server.status import invalid_argument
from tfserve.protos.apis_pb2 import Example, Feature

_KIND_NAMES = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}
_MAX_CONTEXT_BYTES = 64 << 20  # of all copies of the context of a request
_LARGEST_FLOAT = 3.4028235677973366e38
"""Halfway between the largest float32 and the number that would follow it; from here on, values become infinity."""


@dataclass(frozen=True)
class ExamplesInput:
    """A classify or regress request.

    Attributes:
        signature: the name of the requested signature; empty for the default one.
        examples: serialized ``tf.train.Example`` messages, each of which includes the context of the request.
    """

    signature: str
    examples: list[bytes]


def parse_examples(body: bytes) -> ExamplesInput:
    """Parses the body of a classify or regress request.

    Raises:
        StatusError: INVALID_ARGUMENT, the body is not JSON, has no examples, or has values that an example cannot hold.
    """
    document = parse_document(body)
    root = document.root
    signature = signature_of(document)
    context = _example(root["context"]) if "context" in root else b""
    if "examples" not in root:
        raise format_error(root, "When method is classify, key 'examples' is expected and was not found")
    examples = root["examples"]
    if not isinstance(examples, list):
        raise format_error(root, "Expecting 'examples' value to be an list/array")
    if not examples:
        raise format_error(root, "'examples' value is an empty array")
    if len(context) * len(examples) > _MAX_CONTEXT_BYTES:
        raise invalid_argument(
            f"'context' has {len(context)} bytes, and is part of each of {len(examples)} examples: together more than "
            f"{_MAX_CONTEXT_BYTES} bytes, the limit of this server"
        )
    return ExamplesInput(signature, [context + _example(value) for value in examples])


def _example(value: Any) -> bytes:
    """Returns a JSON object of features as a serialized example."""
    if not isinstance(value, dict):
        raise invalid_argument(f"Example must be JSON object but got JSON {json_type(value)}")
    example = Example()
    for name, content in value.items():
        encode_text(name)  # raises for a name that a message cannot hold
        _fill(name, content if isinstance(content, list) else [content], example.features.feature[name])
    return example.SerializeToString()


def _fill(name: str, values: list[Any], feature: Feature) -> None:
    """Adds `values`, which must be of one kind, to a feature; without values the feature has no kind."""
    kind = ""
    converted: list[Any] = []
    for value in values:
        element_kind, element = _element(name, value, kind)
        if kind and element_kind != kind:
            raise _unexpected_kind(name, kind)
        kind = element_kind
        converted.append(element)
    if kind:
        getattr(feature, kind).value.extend(converted)


def _element(name: str, value: Any, kind: str) -> tuple[str, Any]:
    """Returns the kind of list that a value belongs to, and its converted value; `kind` is that of earlier values."""
    if isinstance(value, bool):
        return "int64_list", int(value)
    if isinstance(value, int):
        if -(1 << 63) <= value < 1 << 63:
            return "int64_list", value
        if 0 < value < 1 << 64:
            if kind not in ("", "int64_list"):
                raise _unexpected_kind(name, kind)
            raise invalid_argument(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
        return "float_list", _float32(value)  # an integer with too many digits is a float
    if isinstance(value, float):
        return "float_list", _float32(value)
    if isinstance(value, str):
        return "bytes_list", encode_text(value)
    if is_base64(value):
        if kind not in ("", "bytes_list"):
            raise _unexpected_kind(name, kind)
        return "bytes_list", decode_base64(value)
    raise invalid_argument(f"Feature: {name} has element with unexpected JSON type: {json_type(value)}")


def _float32(value: float) -> float:
    """Returns a number as C converts it to float32: infinity if it is too large."""
    if value >= _LARGEST_FLOAT:
        return float("inf")
    return float("-inf") if value <= -_LARGEST_FLOAT else float(value)


def _unexpected_kind(name: str, kind: str) -> Exception:
    return invalid_argument(f"Unexpected element type in feature: {name} expecting type: {_KIND_NAMES[kind]}")

"""Converts the examples of classify and regress requests from JSON to gRPC messages, and the responses back to JSON.

Sources: ``tensorflow/core/example/example.proto`` and ``tensorflow_serving/apis/input.proto``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfserve.client.arrays import encoded_text
from tfserve.client.json_arrays import decode
from tfserve.client.values import shorten
from tfserve.errors import UsageError
from tfserve.protos import apis_pb2 as apis
from tfserve.text import printable

__all__ = ["build_input", "class_results", "value_results"]

_FORM = 'Write a request like this: {"examples": [{"age": 31.0, "name": "Ada"}]}'


def build_input(document: Mapping[str, Any]) -> apis.Input:
    """Returns an ``Input`` with the "examples" and the "context" of a request.

    Raises:
        UsageError: the request has no examples, or values that a ``tf.Example`` cannot hold.
    """
    examples = document.get("examples")
    if not isinstance(examples, list) or not examples:
        raise UsageError('The request requires "examples", a list that is not empty.', hint=_FORM)
    serialized = [_example(example).SerializeToString() for example in examples]
    if "context" not in document:
        return apis.Input(example_list=apis.ExampleList(examples=serialized))
    context = _example(document["context"]).SerializeToString()
    return apis.Input(
        example_list_with_context=apis.ExampleListWithContext(examples=serialized, context=context),
    )


def class_results(response: apis.ClassificationResponse) -> dict[str, Any]:
    """Returns classes in the form of the REST API."""
    rows = response.result.classifications
    return {"results": [[[one.label, one.score] for one in row.classes] for row in rows]}


def value_results(response: apis.RegressionResponse) -> dict[str, Any]:
    """Returns values in the form of the REST API."""
    return {"results": [one.value for one in response.result.regressions]}


def _example(features: Any) -> apis.Example:
    if not isinstance(features, dict):
        raise UsageError(f"{shorten(features)} is not an example, an object of features by name.", hint=_FORM)
    example = apis.Example()
    for name, content in features.items():
        values = decode(content if isinstance(content, list) else [content])
        if values:
            try:
                feature = example.features.feature[name]
            except UnicodeEncodeError:
                raise UsageError(f"The feature name {printable(name)!r} is not valid Unicode.") from None
            _fill(feature, values, name)
    return example


def _fill(feature: apis.Feature, values: list[Any], name: str) -> None:
    if all(isinstance(value, int) for value in values):
        try:
            feature.int64_list.value.extend(map(int, values))  # bool included
        except ValueError:
            raise UsageError(
                f"The feature {printable(name)} has an integer of more than 64 bits.",
                hint="Write it with a decimal point, or as text.",
            ) from None
    elif all(isinstance(value, float) for value in values):
        feature.float_list.value.extend(values)
    elif all(isinstance(value, (str, bytes)) for value in values):
        feature.bytes_list.value.extend(encoded_text(value, name) for value in values)
    else:
        raise UsageError(
            f"The values of the feature {printable(name)} are not all integers, all numbers or all text.",
            hint='1 is an integer, 1.0 is a number, and "1" is text.',
        )

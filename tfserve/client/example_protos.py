"""The examples of a classify or regress request in JSON to the messages of gRPC, and the answers back.

Sources: ``tensorflow/core/example/example.proto`` and ``tensorflow_serving/apis/input.proto``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfserve.client.json_arrays import decoded
from tfserve.client.values import shown
from tfserve.errors import UsageError
from tfserve.printable import printable
from tfserve.protos import apis_pb2 as apis

__all__ = ["class_results", "input_of", "value_results"]


def input_of(document: Mapping[str, Any]) -> apis.Input:
    """Returns the ``Input`` that has the "examples" and the "context" of a request.

    Raises:
        UsageError: it has none, or they hold what no ``tf.Example`` can.
    """
    examples = document.get("examples")
    if not isinstance(examples, list) or not examples:
        raise UsageError('The request needs "examples", a list with something in it.')
    serialized = [_example(example).SerializeToString() for example in examples]
    if not document.get("context"):
        return apis.Input(example_list=apis.ExampleList(examples=serialized))
    context = _example(document["context"]).SerializeToString()
    return apis.Input(
        example_list_with_context=apis.ExampleListWithContext(examples=serialized, context=context),
    )


def class_results(response: apis.ClassificationResponse) -> dict[str, Any]:
    """Returns classes as the REST API tells them."""
    rows = response.result.classifications
    return {"results": [[[one.label, one.score] for one in row.classes] for row in rows]}


def value_results(response: apis.RegressionResponse) -> dict[str, Any]:
    """Returns values as the REST API tells them."""
    return {"results": [one.value for one in response.result.regressions]}


def _example(features: Any) -> apis.Example:
    if not isinstance(features, dict):
        raise UsageError(f"{shown(features)} is not an example: an object of features by name.")
    example = apis.Example()
    for name, content in features.items():
        values = decoded(content if isinstance(content, list) else [content])
        if values:
            _fill(example.features.feature[name], values, name)
    return example


def _fill(feature: apis.Feature, values: list[Any], name: str) -> None:
    mixed = UsageError(f"The feature {printable(name)} has to hold integers, numbers or text, all of one kind.")
    try:
        if all(isinstance(value, int) for value in values):
            feature.int64_list.value.extend(values)
        elif all(isinstance(value, float) for value in values):
            feature.float_list.value.extend(values)
        elif all(isinstance(value, (str, bytes)) for value in values):
            texts = [value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value for value in values]
            feature.bytes_list.value.extend(texts)
        else:
            raise mixed
    except ValueError:
        raise UsageError(f"The feature {printable(name)} holds an integer of more than 64 bits.") from None

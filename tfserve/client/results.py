"""From the server's answer to classify or regress to the rows of a small table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tfserve.client.answer_table import Table, tabulate
from tfserve.client.failures import malformed_document
from tfserve.client.json_document import read_json
from tfserve.client.messages import Method
from tfserve.text import printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Class", "read_classes", "read_values", "tabulate_results"]


def tabulate_results(method: Method, document: Mapping[str, Any], *, request: bytes) -> Table:
    """Returns the answer to a classify or regress request as a table, one row an example.

    Args:
        method: the method of the request.
        document: the answer, parsed, with "results".
        request: the body of the request, whose examples are shown beside the answer to each.

    Raises:
        RequestError: `document` is not an answer to such a request.
    """
    results = document.get("results")
    try:
        answers = [_classes(result) if method == "classify" else {"value": _number(result)} for result in results or ()]
    except (TypeError, ValueError):
        answers = []
    if not answers:
        raise malformed_document(method)
    return tabulate({"predictions": answers}, request=_instances(request))


def _classes(result: Any) -> dict[str, Any]:
    """Returns what to show of the classes of an example; a model need not give both labels and scores."""
    classes = [(str(label), _number(score)) for label, score in result]
    if not any(label for label, _ in classes):
        return {"scores": [score for _, score in classes]}
    return {"classes": ", ".join(f"{printable(label)} {score:g}" for label, score in classes)}


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError
    return value


def _instances(request: bytes) -> bytes | None:
    """Returns the examples of a request as the instances of another, if that is what it has."""
    import json

    try:
        examples = read_json(request)["examples"]
        return json.dumps({"instances": examples}).encode()
    except (ValueError, LookupError, TypeError):
        return None


class Class(NamedTuple):
    """One class of an example; the label is empty, or the score 0, where the model gives none."""

    label: str
    score: float


def read_classes(document: Mapping[str, Any]) -> list[list[Class]]:
    """Returns the classes of each example in an answer to classify.

    Raises:
        RequestError: it is no such answer.
    """
    try:
        return [[Class(str(label), float(score)) for label, score in row] for row in document["results"]]
    except (LookupError, TypeError, ValueError):
        raise malformed_document("classify") from None


def read_values(document: Mapping[str, Any], count: int) -> NDArray[Any]:
    """Returns the values in an answer to regress for `count` examples, float32 of shape ``(count,)``.

    Raises:
        RequestError: it is no such answer.
    """
    import numpy as np

    try:
        values = np.array(document["results"], np.float32)
    except (LookupError, TypeError, ValueError):
        raise malformed_document("regress") from None
    if values.shape != (count,):
        raise malformed_document("regress")
    return values

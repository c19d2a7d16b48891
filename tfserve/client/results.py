"""Reads responses to classify and regress, as values for Python and as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from tfserve.client.answer_table import Table, tabulate
from tfserve.client.failures import malformed_document
from tfserve.client.json_document import read_json
from tfserve.client.messages import Method
from tfserve.text import printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_ROWS = 100
_EXAMPLES_BETWEEN_CHECKS = 2**14

__all__ = ["Class", "read_classes", "read_values", "tabulate_results"]


class Class(NamedTuple):
    """One class of an example; the label is empty, or the score 0, if the model does not return it."""

    label: str
    score: float


def tabulate_results(method: Method, document: Mapping[str, Any], *, request: bytes) -> Table:
    """Returns the response to a classify or regress request as a table with one row per example.

    Args:
        method: the method of the request.
        document: the response, parsed, with "results".
        request: the body of the request, whose features are shown beside the results.

    Raises:
        RequestError: `document` is not a response to such a request.
    """
    results = document.get("results")
    try:
        count = len(results or ())
        shown = (results or ())[:_MAX_ROWS]
        rows = [_classes(result) if method == "classify" else {"value": _number(result)} for result in shown]
    except (TypeError, ValueError, RecursionError):
        rows = []
    if not rows:
        raise malformed_document(method)
    table = tabulate({"predictions": rows}, request=_instances(request, count))
    return replace(table, omitted=count - len(rows))


def _classes(result: Any) -> dict[str, Any]:
    """Returns the cells for the classes of an example; models may omit labels or scores."""
    classes = [(_label(label), _number(score)) for label, score in result]
    if not any(label for label, _ in classes):
        return {"scores": [score for _, score in classes]}
    return {"classes": ", ".join(f"{printable(label)} {score:g}" for label, score in classes)}


def _label(value: Any) -> str:
    if not isinstance(value, (str, int, float)):
        raise TypeError
    return str(value)


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError
    return value


def _instances(request: bytes, count: int) -> bytes | None:
    """Returns the first examples of a request as the instances of a predict request, or None if it has not `count`."""
    import json

    try:
        examples = read_json(request)["examples"]
        return json.dumps({"instances": examples[:_MAX_ROWS]}).encode() if len(examples) == count else None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def read_classes(document: Mapping[str, Any], check: Callable[[], None] = lambda: None) -> list[list[Class]]:
    """Returns the classes of each example in a response to classify; what `check` raises ends the work.

    Raises:
        RequestError: `document` is not such a response.
    """
    found: list[list[Class]] = []
    try:
        for position, row in enumerate(document["results"]):
            if not position % _EXAMPLES_BETWEEN_CHECKS:
                check()
            found.append([Class(_label(label), float(score)) for label, score in row])
        return found
    except (LookupError, TypeError, ValueError, OverflowError):
        raise malformed_document("classify") from None


def read_values(document: Mapping[str, Any], count: int) -> NDArray[Any]:
    """Returns the values in a response to regress for `count` examples, float32 of shape ``(count,)``.

    Raises:
        RequestError: `document` is not such a response.
    """
    import numpy as np

    try:
        values = np.array(document["results"], np.float32)
    except (LookupError, TypeError, ValueError, OverflowError, RecursionError):
        raise malformed_document("regress") from None
    if values.shape != (count,):
        raise malformed_document("regress")
    return values

"""From the server's answer to classify or regress to the rows of a small table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfserve.client.answer import Table, tabulate
from tfserve.client.failures import no_answer
from tfserve.client.json_document import read_json
from tfserve.client.rest import Verb
from tfserve.text import printable

__all__ = ["tabulate_results"]


def tabulate_results(verb: Verb, document: Mapping[str, Any], *, request: bytes) -> Table:
    """Returns the answer to a classify or regress request as a table, one row an example.

    Args:
        verb: what was asked.
        document: the answer, parsed, with "results".
        request: the body of the request, whose examples are shown beside the answer to each.

    Raises:
        RequestError: `document` is not an answer to such a request.
    """
    results = document.get("results")
    try:
        answers = [_classes(result) if verb == "classify" else {"value": _number(result)} for result in results or ()]
    except (TypeError, ValueError):
        answers = []
    if not answers:
        raise no_answer(verb)
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

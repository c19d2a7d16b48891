"""The answers to classify and regress as programs want them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tfserve.client.failures import no_answer

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Class", "read_classes", "read_values"]


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
        raise no_answer("classify") from None


def read_values(document: Mapping[str, Any], count: int) -> NDArray[Any]:
    """Returns the values in an answer to regress for `count` examples, float32 of shape ``(count,)``.

    Raises:
        RequestError: it is no such answer.
    """
    import numpy as np

    try:
        values = np.array(document["results"], np.float32)
    except (LookupError, TypeError, ValueError):
        raise no_answer("regress") from None
    if values.shape != (count,):
        raise no_answer("regress")
    return values

"""Shows the response to a predict request as a table."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tfserve.client.failures import malformed_document
from tfserve.client.json_document import read_json
from tfserve.client.shapes import is_batched
from tfserve.client.values import is_encoded_bytes
from tfserve.models.saved_model import Signature, TensorSpec
from tfserve.text import printable

__all__ = ["Table", "tabulate"]

_MAX_VALUES = 12  # of a tensor that is shown completely
_MAX_LISTS = 1000  # of a tensor that is shown completely; a value can be in as many lists as a tensor has dimensions
_VALUES_BETWEEN_CHECKS = 2**16
_FIRST_VALUES = 3  # of a larger tensor
_MAX_CHARACTERS = 60
_MAX_COLUMNS = 1000


@dataclass(frozen=True)
class Table:
    """Rows of plain text without control characters, in which brackets are not markup.

    Attributes:
        columns: the names of the columns: inputs, if they are known, then outputs.
        rows: one row for each instance, each as long as `columns`.
        omitted: the number of further rows.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    omitted: int = 0


class _UnexpectedError(Exception):
    """The response has an unexpected form; the message describes it."""


def tabulate(
    document: Mapping[str, Any],
    *,
    signature: Signature | None = None,
    request: bytes | None = None,
    max_rows: int = 100,
    check: Callable[[], None] = lambda: None,
) -> Table:
    """Returns the response to a predict request as a table.

    Args:
        document: the response, parsed, with "predictions" or "outputs".
        signature: the signature of the request; it names the columns.
        request: the body of the request, whose instances are shown beside the predictions.
        max_rows: the maximum number of rows.
        check: is called now and then; what it raises ends the work.

    Raises:
        RequestError: `document` is not a response to a predict request.
    """
    inputs = None if signature is None else signature.inputs
    outputs = None if signature is None else signature.outputs
    sent = _parse(request)
    try:
        if "predictions" in document:
            columns = _row_columns(document["predictions"], outputs, sent.get("instances"), inputs)
        elif "outputs" in document:
            columns = _column_columns(document["outputs"], outputs, sent.get("inputs"), inputs)
        else:
            raise _UnexpectedError("it has neither predictions nor outputs")
        count = len(columns[0][1]) if columns else 0
        check()
        rows = zip(*(values[:max_rows] for _, values in columns), strict=True)
        return Table(
            columns=tuple(printable(name, limit=_MAX_CHARACTERS) for name, _ in columns),
            rows=tuple(tuple(_cell(value, check) for value in row) for row in rows),
            omitted=max(count - max_rows, 0),
        )
    except RecursionError:
        reason = "it is nested too deeply"
    except _UnexpectedError as error:
        reason = str(error)
    raise malformed_document("predict", reason)


_Columns: TypeAlias = list[tuple[str, list[Any]]]
_Specs: TypeAlias = Mapping[str, TensorSpec] | None


def _parse(request: bytes | None) -> dict[str, Any]:
    """Returns `request`, parsed; empty if that is not possible, as the server accepted the request."""
    try:
        document = None if request is None else read_json(request)
    except ValueError:
        document = None
    return document if isinstance(document, dict) else {}


def _row_columns(predictions: Any, outputs: _Specs, instances: Any, inputs: _Specs) -> _Columns:
    if not isinstance(predictions, list):
        raise _UnexpectedError("its predictions are not a list")
    received = _transpose(predictions, outputs, "prediction")
    if received is None:
        raise _UnexpectedError("its predictions do not all have the same outputs")
    if not isinstance(instances, list) or len(instances) != len(predictions):
        return received
    return (_transpose(instances, inputs, "instance") or []) + received


def _transpose(items: list[Any], specs: _Specs, default: str) -> _Columns | None:
    """Returns one column for each tensor, or None if the instances have different tensors."""
    named = [_is_named(item) for item in items]
    if not any(named):
        return [(_only_name(specs, default), items)]
    if not all(named) or any(item.keys() != items[0].keys() for item in items):
        return None
    return [(name, [item[name] for item in items]) for name in _in_order(items[0], specs)]


def _column_columns(response: Any, outputs: _Specs, request: Any, inputs: _Specs) -> _Columns:
    received = _tensors(response, outputs, "output")
    sent = [] if request is None else _tensors(request, inputs, "input")
    if _is_batch(received, outputs):
        both = sent + received
        return both if _is_batch(both, inputs) else received
    return [(name, [tensor]) for name, tensor in sent + received]


def _tensors(value: Any, specs: _Specs, default: str) -> _Columns:
    if _is_named(value):
        return [(name, value[name]) for name in _in_order(value, specs)]
    return [(_only_name(specs, default), value)]


def _is_batch(tensors: _Columns, specs: _Specs) -> bool:
    """Returns whether all are lists of the same length, and can be batches according to the signature."""
    lengths = {len(tensor) if isinstance(tensor, list) else -1 for _, tensor in tensors}
    return len(lengths) == 1 and -1 not in lengths and all(is_batched(spec.shape) for spec in (specs or {}).values())


def _is_named(value: Any) -> bool:
    """Returns whether `value` maps names to tensors; ``{"b64": …}`` is a value."""
    return isinstance(value, dict) and not (is_encoded_bytes(value) and isinstance(value["b64"], str))


def _only_name(specs: _Specs, default: str) -> str:
    return next(iter(specs)) if specs and len(specs) == 1 else default


def _in_order(named: Mapping[str, Any], specs: _Specs) -> list[str]:
    if len(named) > _MAX_COLUMNS:
        raise _UnexpectedError(f"it has {len(named):,} outputs")
    order = {name: position for position, name in enumerate(specs or ())}
    return sorted(named, key=lambda name: order.get(name, len(order)))


def _cell(value: Any, check: Callable[[], None]) -> str:
    if isinstance(value, str):
        return printable(value, limit=_MAX_CHARACTERS)
    return _abbreviate(value, check)


def _abbreviate(value: Any, check: Callable[[], None]) -> str:
    if not isinstance(value, list):
        beginning, _ = _first_values(value, _MAX_CHARACTERS)
        return printable(json.dumps(beginning, ensure_ascii=False), limit=_MAX_CHARACTERS)
    first, count, lists = _leaves(value, check)
    if count <= _MAX_VALUES and lists <= _MAX_LISTS:
        return f"[{', '.join(_abbreviate(item, check) for item in value)}]"
    shape: list[int] = []
    inner: Any = value
    while isinstance(inner, list) and inner:
        shape.append(len(inner))
        inner = inner[0]
    counted = "x".join(str(size) for size in shape) if math.prod(shape) == count else str(count)
    start = ", ".join(_abbreviate(leaf, check) for leaf in first)
    return f"{'[' * len(shape)}{start}, … {counted} values{']' * len(shape)}"


def _first_values(value: Any, left: int) -> tuple[Any, int]:
    """Returns `value` with its first `left` values alone, and how many more there can be."""
    if isinstance(value, list):
        items: list[Any] = []
        for item in value:
            if left < 0:
                break
            kept, left = _first_values(item, left - 1)
            items.append(kept)
        return items, left
    if isinstance(value, dict):
        named: dict[str, Any] = {}
        for name, item in value.items():
            if left < 0:
                break
            named[name], left = _first_values(item, left - 1)
        return named, left
    return value, left


def _leaves(value: list[Any], check: Callable[[], None]) -> tuple[list[Any], int, int]:
    """Returns the first few single values in nested lists, the number of all, and that of the lists."""
    first: list[Any] = []
    count, lists = 0, 0
    pending = [iter(value)]
    while pending:
        for item in pending[-1]:
            if isinstance(item, list):
                pending.append(iter(item))
                lists += 1
                if not lists % _VALUES_BETWEEN_CHECKS:
                    check()
                break
            count += 1
            if not count % _VALUES_BETWEEN_CHECKS:
                check()
            if len(first) < _FIRST_VALUES:
                first.append(item)
        else:
            pending.pop()
    return first, count, lists

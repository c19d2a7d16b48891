"""Shapes of tensors, and reshaping of typed values to the shape of an input where it is unambiguous."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tfserve.client.values import Value
from tfserve.errors import UsageError

__all__ = ["MAX_RANK", "is_batched", "reshape", "shape_of", "shape_text"]

MAX_RANK = 254  # TensorShape::MaxDimensions() in tensorflow/core/framework/tensor_shape.h

Shape = tuple[int, ...]


def is_batched(shape: Shape | None) -> bool:
    """Returns whether the first dimension can be the number of instances: it, or the whole shape, is unknown."""
    return shape is None or shape[:1] == (-1,)


def shape_text(shape: Shape | None) -> str:
    """Returns `shape` as Python writes it, with -1 for an unknown dimension."""
    return "unknown rank" if shape is None else str(shape)


def shape_of(value: Value) -> Shape:
    """Returns the shape of nested lists; () for anything else.

    Raises:
        UsageError: the lists of one level differ in length or are mixed with values, or the nesting is too deep.
    """
    shape: list[int] = []
    level = [value]
    while level and isinstance(level[0], list):
        if len(shape) == MAX_RANK:
            raise UsageError(f"A tensor has at most {MAX_RANK} dimensions.")
        lengths = {len(item) if isinstance(item, list) else -1 for item in level}
        if -1 in lengths:
            raise UsageError("Lists and single values are mixed; all elements of a tensor have the same shape.")
        if len(lengths) > 1:
            found = " and ".join(str(length) for length in sorted(lengths)[:3])
            raise UsageError(f"Lists have different lengths ({found}); a tensor is rectangular.")
        shape.append(lengths.pop())
        level = [inner for item in level for inner in item]
    if any(isinstance(item, list) for item in level):
        raise UsageError("Lists and single values are mixed; all elements of a tensor have the same shape.")
    return tuple(shape)


def reshape(values: Sequence[Value], shape: Shape | None) -> Value:
    """Returns `values` as a tensor of `shape`: nested lists, or a single value.

    Single values fill the shape in order, if that determines its unknown dimensions; a single list of the full rank is
    the whole tensor; lists with one dimension less are its instances.

    Args:
        values: one or more typed values, each a single value or nested lists.
        shape: the required shape, with -1 for an unknown dimension; None for any.

    Raises:
        UsageError: the values do not match the shape, or match it in more than one way.
    """
    if shape is None:
        tensor = values[0] if len(values) == 1 and isinstance(values[0], list) else list(values)
        shape_of(tensor)
        return tensor
    given = _common_shape(values)
    rank = len(shape)
    if not given:
        return _fill(list(values), shape)
    if len(given) == rank and len(values) == 1:
        _check_shape(given, shape, f"The value has shape {given}, but the input has {shape_text(shape)}.")
        return values[0]
    if len(given) == rank - 1:
        _check_shape(
            given, shape[1:], f"{_each(values)} has shape {given}, but an instance of the input has {shape[1:]}."
        )
        _check_shape((len(values),), shape[:1], f"{len(values)} instances were given, but the input takes {shape[0]}.")
        return list(values)
    if len(given) == rank:
        raise UsageError(
            f"{len(values)} values of shape {given} were given, each a whole batch of {shape_text(shape)}."
        )
    raise UsageError(f"{_each(values)} has shape {given}, which does not match {shape_text(shape)}.")


def _each(values: Sequence[Value]) -> str:
    return "The value" if len(values) == 1 else "Each value"


def _common_shape(values: Sequence[Value]) -> Shape:
    first, *others = [shape_of(value) for value in values]
    for other in others:
        if other != first:
            raise UsageError(f"The values have different shapes: {first} and {other}.")
    return first


def _check_shape(given: Shape, wanted: Shape, message: str) -> None:
    if any(size not in (-1, actual) for actual, size in zip(given, wanted, strict=True)):
        raise UsageError(message)


def _fill(flat: list[Value], shape: Shape) -> Value:
    """Returns the single values in `flat`, in order, as a tensor of `shape`."""
    count = len(flat)
    unknown = shape.count(-1)
    known = math.prod(size for size in shape if size != -1)
    values = "1 single value does" if count == 1 else f"{count} single values do"
    mismatch = UsageError(f"{values} not fill {shape_text(shape)}.")
    if known == 0:
        raise mismatch
    missing, rest = divmod(count, known)
    if rest or missing == 0 or (unknown == 0 and missing != 1):
        raise mismatch
    if unknown > 1 and missing != 1:
        raise UsageError(f"{count} single values fill {shape_text(shape)} in more than one way.")
    sizes = [missing if size == -1 else size for size in shape]
    for size in reversed(sizes[1:]):
        flat = [flat[start : start + size] for start in range(0, len(flat), size)]
    return flat if sizes else flat[0]

"""The arrays of a batch: merges the inputs of its requests, and splits the outputs among them.

Sources: ``batching_session.cc`` and ``batching_util.{h,cc}`` of TensorFlow Serving.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfserve.model_server.status import Code, StatusError, invalid_argument
from tfserve.protos.dtypes import Array

_MAX_PADDED_RANK = 6

Arrays = Mapping[str, Array]


def count_rows(arrays: Arrays) -> int:
    """Returns the size of dimension 0 of all arrays.

    Raises:
        StatusError: INVALID_ARGUMENT, the sizes differ, an array has no dimensions, or there are no arrays.
    """
    if not arrays:
        raise invalid_argument("Batching Run() must have at least one input tensor")
    sizes = set()
    for array in arrays.values():
        if array.ndim == 0:
            raise invalid_argument("Batching Run() input tensors must have at least one dimension")
        sizes.add(len(array))
    if len(sizes) > 1:
        raise invalid_argument("Batching Run() input tensors must have equal 0th-dimension size")
    return sizes.pop()


def merge(inputs: Sequence[Arrays], size: int, pads: bool, tensor_name: Callable[[str], str]) -> dict[str, Array]:
    """Returns one array for each input, with the rows of all requests one after the other.

    Args:
        inputs: the inputs of each request, all with the same names and dtypes.
        size: how many rows to return; if there are fewer, one of them is repeated at the end.
        pads: whether rows of different shapes are padded at their ends, each with the first value of its request.
        tensor_name: returns the name of an input in error messages.

    Raises:
        StatusError: FAILED_PRECONDITION, rows have different shapes without padding, or different ranks;
            INVALID_ARGUMENT, rows cannot be padded.
    """
    merged = {}
    for alias in inputs[0]:
        arrays = [request[alias] for request in inputs]
        if pads:
            arrays = _padded(arrays, tensor_name(alias))
        elif any(array.shape[1:] != arrays[0].shape[1:] for array in arrays):
            raise StatusError(
                Code.FAILED_PRECONDITION,
                f"Tensors with name '{tensor_name(alias)}' from different tasks have different shapes and padding is "
                "turned off. Set pad_variable_length_inputs to true, or ensure that all tensors with the same name "
                "have equal dimensions starting with the first dim.",
            )
        missing = size - sum(map(len, arrays))
        if missing > 0:
            example = next(array for array in reversed(arrays) if len(array))[:1]
            arrays.append(np.repeat(example, missing, axis=0))
        merged[alias] = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return merged


def padded_bytes(inputs: Sequence[Arrays], size: int) -> int:
    """Returns how many bytes `merge` would return with padding; 0 if it cannot merge the inputs."""
    total = 0
    for alias, first in inputs[0].items():
        shapes = [request[alias].shape[1:] for request in inputs]
        if any(len(shape) != first.ndim - 1 for shape in shapes):
            return 0
        total += size * math.prod(map(max, zip(*shapes, strict=True))) * first.itemsize
    return total


def split(outputs: Arrays, sizes: Sequence[int], ran: int) -> list[dict[str, Array]]:
    """Returns the outputs of each request: views of its rows.

    Args:
        outputs: the outputs of the batch.
        sizes: the number of rows of each request, in the order in which they were merged.
        ran: the number of rows of the batch, repeated rows included.

    Raises:
        StatusError: FAILED_PRECONDITION, an output does not have one row for each row of the inputs.
    """
    for array in outputs.values():
        if array.ndim == 0:
            raise StatusError(Code.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions")
        if len(array) != ran:
            raise StatusError(
                Code.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
                "tensors",
            )
    parts = []
    begin = 0
    for size in sizes:
        end = begin + size
        parts.append({alias: array[begin:end] for alias, array in outputs.items()})
        begin = end
    return parts


def _padded(arrays: list[Array], name: str) -> list[Array]:
    """Returns the arrays padded to the same shape, except for dimension 0."""
    rank = arrays[0].ndim
    if any(array.ndim != rank for array in arrays):  # this crashes the official server
        raise StatusError(
            Code.FAILED_PRECONDITION, f"Tensors with name '{name}' from different tasks have different ranks"
        )
    if rank > _MAX_PADDED_RANK:
        raise invalid_argument("Only tensors with rank from 1 to 6 can be padded.")
    largest = tuple(max(array.shape[axis] for array in arrays) for axis in range(1, rank))
    return [_padded_to(largest, array) for array in arrays]


def _padded_to(row_shape: tuple[int, ...], array: Array) -> Array:
    if array.shape[1:] == row_shape:
        return array
    shape = (len(array), *row_shape)
    if array.size == 0:
        if 0 in shape:
            return np.empty(shape, array.dtype)
        raise invalid_argument("Got empty tensor in batch of non-empty tensors.")
    padded = np.full(shape, array.flat[0], array.dtype)
    padded[tuple(slice(size) for size in array.shape)] = array
    return padded

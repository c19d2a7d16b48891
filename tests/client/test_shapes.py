from __future__ import annotations

import pytest

from tfserve.client.shapes import reshape, shape_of
from tfserve.client.values import Value
from tfserve.errors import UsageError

IMAGE = [[[0.5] * 3] * 4] * 4


@pytest.mark.parametrize(
    ("values", "shape", "tensor"),
    [
        ([1, 2, 5], (-1,), [1, 2, 5]),
        ([1, 2, 5], (-1, 3), [[1, 2, 5]]),
        ([1, 2, 3, 4, 5, 6], (-1, 3), [[1, 2, 3], [4, 5, 6]]),
        ([1, 2, 5], (-1, 1), [[1], [2], [5]]),
        ([1, 2, 3, 4], (-1, 2, 2), [[[1, 2], [3, 4]]]),
        ([1, 2, 3], (1, -1), [[1, 2, 3]]),
        ([7], (-1, -1), [[7]]),
        ([1, 2], (-1, -1, 2), [[[1, 2]]]),
        ([[1, 2, 5]], (-1,), [1, 2, 5]),
        ([[1, 2, 5]], (-1, 3), [[1, 2, 5]]),
        ([[1, 2, 5], [3, 4, 6]], (-1, 3), [[1, 2, 5], [3, 4, 6]]),
        ([[[1, 2, 5], [3, 4, 6]]], (-1, 3), [[1, 2, 5], [3, 4, 6]]),
        ([[1, 2]], (-1, -1), [[1, 2]]),
        ([IMAGE], (-1, 4, 4, 3), [IMAGE]),
        ([IMAGE, IMAGE], (-1, -1, -1, 3), [IMAGE, IMAGE]),
        ([[IMAGE]], (-1, 4, 4, 3), [IMAGE]),
        ([5], (), 5),
        ([{"b64": ""}], (), {"b64": ""}),
        ([1, 2], (2,), [1, 2]),
        ([[1, 2]], (2,), [1, 2]),
        ([1, 2, 3, 4], (2, 2), [[1, 2], [3, 4]]),
        ([[1, 2], [3, 4]], (2, 2), [[1, 2], [3, 4]]),
        ([[]], (-1,), []),
        ([[[], []]], (-1, 0), [[], []]),
        ([1, 2, 5], None, [1, 2, 5]),
        ([5], None, [5]),
        ([[1, 2]], None, [1, 2]),
        ([[1, 2], [3, 4]], None, [[1, 2], [3, 4]]),
    ],
)
def test_reshape(values: list[Value], shape: tuple[int, ...] | None, tensor: Value) -> None:
    assert reshape(values, shape) == tensor


@pytest.mark.parametrize(
    ("values", "shape", "words"),
    [
        ([1, 2], (), "2 single values do not fill ()"),
        ([[1]], (), "has shape (1,), which does not match ()"),
        ([1, 2], (-1, 3), "2 single values do not fill (-1, 3)"),
        ([1, 2, 3, 4], (-1, 3), "do not fill"),
        ([1], (2,), "1 single value does not fill (2,)"),
        ([1, 2, 3, 4], (2,), "do not fill"),
        ([1], (-1, 0), "1 single value does not fill (-1, 0)"),
        ([1, 2], (-1, -1), "fill (-1, -1) in more than one way"),
        ([[1, 2]], (-1, 3), "The value has shape (2,), but an instance of the input has (3,)"),
        ([[[1, 2]]], (-1, 3), "The value has shape (1, 2), but the input has (-1, 3)"),
        ([[1, 2], [3, 4]], (-1,), "each a whole batch"),
        ([[1, 2]] * 3, (2, 2), "3 instances were given, but the input takes 2"),
        ([[1, 2]], (-1, 4, 4, 3), "does not match (-1, 4, 4, 3)"),
        ([[[[1]]]], (-1,), "does not match (-1,)"),
        ([1, [2]], (-1,), "different shapes: () and (1,)"),
        ([[1, 2], [3]], None, "different lengths"),
        ([[1, [2]]], (-1,), "are mixed"),
        ([[[1], 2]], (-1, 1), "are mixed"),
        ([[[1, 2], [3]]], (-1, -1), "different lengths (1 and 2)"),
    ],
)
def test_values_that_do_not_match_the_shape(values: list[Value], shape: tuple[int, ...] | None, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        reshape(values, shape)
    assert words in caught.value.message


def test_too_many_dimensions() -> None:
    value: Value = 1
    for _ in range(300):
        value = [value]
    with pytest.raises(UsageError, match="at most 254 dimensions"):
        shape_of(value)

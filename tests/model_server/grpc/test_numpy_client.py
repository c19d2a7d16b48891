"""``tfserve.Client`` with inputs that half_plus_two does not have: several, strings, integers, every dtype."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tfserve.client.failures import RefusedError
from tfserve.client.numpy_client import Client
from tfserve.errors import UsageError

from .conftest import GrpcProcess


@pytest.fixture(scope="module", params=["rest", "grpc"])
def client(request: pytest.FixtureRequest, zoo_process: GrpcProcess) -> Iterator[Client]:
    port = zoo_process.port if request.param == "rest" else zoo_process.grpc_port
    with Client(f"127.0.0.1:{port}", model="zoo", api=request.param) as client:
        yield client


def test_several_inputs_and_outputs(client: Client) -> None:
    inputs: dict[str, Any] = {"number": [1, 2], "words": [["a", b"\xff\0"], ["ü", "n"]]}
    outputs = client.predict(inputs, signature="pair")
    assert outputs["double"].tolist() == [2.0, 4.0]
    assert outputs["words_bytes"].tolist() == [[b"a", b"\xff\0"], ["ü".encode(), b"n"]]
    assert outputs["joined"][1] == "ün".encode()
    with pytest.raises(UsageError, match="has 2 inputs"):
        client.predict([1], signature="pair")
    assert {name: array.tolist() for name, array in client.predict({"x": [3, 4]}, signature="uneven").items()} == {
        "all": [3.0, 4.0],
        "first": [3.0],
    }
    with pytest.raises(UsageError, match="has 2 outputs") as caught:
        client.predict([3, 4], signature="uneven")
    assert caught.value.hint == "Pass the input by name, to get the outputs by name: {'x': …}"


def test_an_input_with_a_default(client: Client) -> None:
    inputs = {"words": [["a", "b"]]}
    if client.api == "rest":
        with pytest.raises(RefusedError, match="Missing named input: number"):
            client.predict(inputs, signature="pair")
    else:
        assert client.predict(inputs, signature="pair")["double"].tolist() == [14.0]


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("float32", [[0.1, np.inf]]),
        ("float64", 0.1),
        ("int8", [-128]),
        ("int64", [2**63 - 1, -(2**63)]),
        ("uint64", [2**64 - 1, 0]),
        ("bool", [[True], [False]]),
        ("string", ["a", ""]),
        ("string", "scalar"),
    ],
)
def test_types_and_shapes(client: Client, dtype: str, values: Any) -> None:
    answer = client.predict(values, signature=f"echo_{dtype}")
    expected = np.array(values, np.object_ if dtype == "string" else dtype)
    assert (answer.dtype, answer.shape) == (expected.dtype, expected.shape)
    if dtype == "string":
        assert [text.decode() for text in answer.ravel()] == expected.ravel().tolist()
    else:
        np.testing.assert_array_equal(answer, expected)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "complex64"])
def test_types_that_only_grpc_supports(client: Client, dtype: str) -> None:
    if client.api == "rest":
        with pytest.raises(UsageError, match=f"does not accept arrays of {dtype} over REST"):
            client.predict([1.5], signature=f"echo_{dtype}")
        return
    answer = client.predict([1.5], signature=f"echo_{dtype}")
    assert (answer.dtype.name, answer.tolist()) == (dtype, [1.5])

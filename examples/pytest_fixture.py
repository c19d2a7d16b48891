"""Tests a model through a real server, which all tests share and which is removed after them.

Usage: ``pytest examples/pytest_fixture.py``. In your own project, put the fixture into ``conftest.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tfserve
from tfserve.errors import RequestError

MODEL = Path(__file__).parent / "half_plus_two"


@pytest.fixture(scope="session")
def server() -> Iterator[tfserve.RunningServer]:
    """A server of the model, with a unique name and on free ports, so that test runs do not affect each other."""
    with tfserve.serve(MODEL) as server:
        yield server


def test_it_halves_and_adds_two(server: tfserve.RunningServer) -> None:
    """The model computes 0.5 * x + 2."""
    x = np.linspace(-1, 1, 5, dtype=np.float32)
    np.testing.assert_allclose(server.predict(x), x / 2 + 2)


def test_it_serves_one_version(server: tfserve.RunningServer) -> None:
    """Another version is refused."""
    assert [version.state for version in server.status()] == ["AVAILABLE"]
    with pytest.raises(RequestError):
        server.predict([1.0], version=2)

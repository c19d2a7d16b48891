"""Models and servers that the tests of the model server share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cached import made_by_script
from tfserve.model_server.runtime.loading import load_servable
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.runtime.session import LoadOptions

from .server_process import ServerProcess


@pytest.fixture(scope="session")
def models() -> Path:
    """The directory with the base paths that `make_models` makes; all test runs share it, so it must not be changed.

    The SavedModel of ``text`` is in text format.
    """
    return made_by_script(Path(__file__).with_name("make_models.py"))


@pytest.fixture(scope="session")
def zoo(models: Path) -> Iterator[Servable]:
    """The model ``zoo``, loaded in this process."""
    servable = load_servable("zoo", 1, models / "zoo" / "1", LoadOptions())
    yield servable
    servable.close()


@pytest.fixture(scope="session")
def examples(models: Path) -> Iterator[Servable]:
    """The model ``examples``, loaded in this process."""
    servable = load_servable("examples", 1, models / "examples" / "1", LoadOptions())
    yield servable
    servable.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, half_plus_two: Path) -> Iterator[ServerProcess]:
    """A server with the model of the guide."""
    log = tmp_path_factory.mktemp("server") / "log"
    with ServerProcess(log, half_plus_two, "--rest_api_max_body_bytes=2000000", name="half_plus_two") as process:
        yield process.wait_until_ready()


@pytest.fixture(scope="session")
def zoo_server(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[ServerProcess]:
    """A server with the model ``zoo``."""
    log = tmp_path_factory.mktemp("zoo_server") / "log"
    # A held run keeps one of TensorFlow's threads busy, which may be the only one on a small machine.
    with ServerProcess(log, models / "zoo", "--tensorflow_inter_op_parallelism=4", name="zoo") as process:
        yield process.wait_until_ready()

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.program import eventually
from tfserve.model_server.models.manager import Manager, ManagerOptions, ModelConfig, ModelSpec
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.status import StatusError

from ..server_process import PATIENCE
from .versions import add, answer, states, stuck

FAST = ManagerOptions(poll_seconds=0.05, max_retries=1, retry_seconds=0.1)


@contextmanager
def managing(base_path: Path, options: ManagerOptions) -> Iterator[Manager]:
    """Yields a manager of the model ``m`` that has not been started, and stops it."""
    base_path.mkdir(exist_ok=True)
    managed = Manager([ModelConfig("m", base_path)], options, LoadOptions())
    try:
        yield managed
    finally:
        managed.stop()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with managing(tmp_path / "m", FAST) as managed:
        yield managed


def test_a_newer_version_replaces_the_older_one_until_it_is_removed(
    manager: Manager, models: Path, tmp_path: Path
) -> None:
    base_path = tmp_path / "m"
    add(models, base_path, 1)
    manager.start()
    manager.ready.result(PATIENCE)
    assert answer(manager) == answer(manager, 1) == 1.0

    add(models, base_path, 2)
    eventually(lambda: states(manager) == {2: "AVAILABLE", 1: "END"})
    assert answer(manager) == 2.0
    with pytest.raises(StatusError, match=r"Servable not found for request: Specific\(m, 1\)"):
        answer(manager, 1)

    shutil.rmtree(base_path / "2")
    eventually(lambda: states(manager) == {2: "END", 1: "AVAILABLE"})
    assert answer(manager) == 1.0

    shutil.rmtree(base_path / "1")
    eventually(lambda: states(manager) == {2: "END", 1: "END"})
    with pytest.raises(StatusError, match=r"Latest\(m\)"):
        answer(manager)

    add(models, base_path, 2)
    eventually(lambda: states(manager)[2] == "AVAILABLE")


def test_a_version_in_use_is_not_unloaded(manager: Manager, models: Path, tmp_path: Path) -> None:
    add(models, tmp_path / "m", 1)
    manager.start()
    manager.ready.result(PATIENCE)
    with manager.use(ModelSpec("m")) as servable:
        add(models, tmp_path / "m", 2)
        eventually(lambda: states(manager) == {2: "AVAILABLE", 1: "UNLOADING"})
        manager.poll().result(PATIENCE)  # another step in which nothing may unload it
        assert states(manager)[1] == "UNLOADING"
        assert servable.run("", {"x": np.zeros(1, np.float32)})["y"].tolist() == [1.0]
    eventually(lambda: states(manager)[1] == "END")


def test_a_broken_version_leaves_the_good_one_serving(manager: Manager, models: Path, tmp_path: Path) -> None:
    add(models, tmp_path / "m", 1)
    manager.start()
    manager.ready.result(PATIENCE)
    add(models, tmp_path / "m", 2, broken=True)
    eventually(lambda: states(manager) == {2: "END", 1: "AVAILABLE"})
    (newest, oldest) = manager.statuses("m")
    assert newest.error_code != "OK" and newest.error_message
    assert (oldest.error_code, oldest.error_message) == ("OK", "")
    assert answer(manager) == 1.0

    shutil.rmtree(tmp_path / "m" / "2")
    manager.poll().result(PATIENCE)
    add(models, tmp_path / "m", 2)  # replaced by a good one, it is loaded again
    eventually(lambda: states(manager) == {2: "AVAILABLE", 1: "END"})


def test_nothing_is_ready_before_a_version_appears(manager: Manager, models: Path, tmp_path: Path) -> None:
    manager.start()
    manager.poll().result(PATIENCE)
    assert not manager.ready.done()
    with pytest.raises(StatusError, match="Could not find any versions of model m"):
        manager.statuses("m")
    add(models, tmp_path / "m", 1)
    manager.ready.result(PATIENCE)


def test_a_model_that_never_loads_fails_the_start(manager: Manager, models: Path, tmp_path: Path) -> None:
    add(models, tmp_path / "m", 1, broken=True)
    manager.start()
    with pytest.raises(StatusError, match=r"1 servable\(s\) did not become available: \{\{\{name: m version: 1\} due"):
        manager.ready.result(PATIENCE)
    (status,) = manager.statuses("m")
    assert status.state == "END"


def test_a_broken_version_is_not_retried_once_a_newer_one_is_found(models: Path, tmp_path: Path) -> None:
    with managing(tmp_path / "m", ManagerOptions(0.05, 5, 60)) as patient:
        add(models, tmp_path / "m", 1, broken=True)
        patient.start()
        eventually(lambda: states(patient) == {1: "LOADING"})
        assert not patient.ready.done()
        add(models, tmp_path / "m", 2)
        patient.ready.result(PATIENCE)
        assert states(patient) == {2: "AVAILABLE", 1: "END"}
        assert patient.statuses("m", 1)[0].error_code == "CANCELLED"


@pytest.mark.parametrize(("poll_seconds", "found"), [(0, {1: "AVAILABLE"}), (-1, {})])
def test_polling_once_or_never(models: Path, tmp_path: Path, poll_seconds: float, found: dict[int, str]) -> None:
    base_path = tmp_path / "m"
    with managing(base_path, ManagerOptions(poll_seconds)) as manager:
        add(models, base_path, 1)
        manager.start()
        eventually(lambda: states(manager) == found and manager.next_poll == float("inf"))
        add(models, base_path, 2)
        assert (states(manager), manager.next_poll) == (found, float("inf"))
        manager.poll().result(PATIENCE)  # a poll on demand still finds it
        eventually(lambda: states(manager) == {2: "AVAILABLE"} | dict.fromkeys(found, "END"))


def test_a_poll_fails_once_the_manager_is_stopped(manager: Manager) -> None:
    manager.start()
    manager.stop()
    with pytest.raises(StatusError, match="The server is shutting down"):
        manager.poll().result(PATIENCE)


def test_a_version_whose_load_hangs_does_not_delay_the_next_one(models: Path, tmp_path: Path) -> None:
    base_path = tmp_path / "m"
    with managing(base_path, FAST) as managed:
        with stuck(base_path, 1):
            managed.start()
            eventually(lambda: states(managed) == {1: "LOADING"})
            add(models, base_path, 2)
            managed.ready.result(PATIENCE)
            assert answer(managed) == 2.0
            assert states(managed) == {2: "AVAILABLE", 1: "LOADING"}
        eventually(lambda: states(managed) == {2: "AVAILABLE", 1: "END"})
        assert managed.statuses("m", 1)[0].error_code != "OK"


def test_a_manager_without_models_is_ready() -> None:
    managed = Manager([], FAST, LoadOptions())
    managed.start()
    managed.ready.result(PATIENCE)
    managed.stop()

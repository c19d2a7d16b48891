from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tfserve.model_server.manager import Manager, ManagerOptions, ModelConfig, State
from tfserve.model_server.servable import LoadOptions
from tfserve.model_server.status import Code, StatusError

FAST = ManagerOptions(poll_seconds=0.05, max_retries=1, retry_seconds=0.1)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    managed = Manager([ModelConfig("m", tmp_path / "m")], FAST, LoadOptions())
    (tmp_path / "m").mkdir()
    yield managed
    managed.stop()


def add(models: Path, base_path: Path, version: int, broken: bool = False) -> None:
    """Puts a version there at once, as a careful exporter does."""
    made = base_path.parent / "made"
    shutil.copytree(models / "constant" / str(version), made)
    if broken:
        (made / "saved_model.pb").write_bytes(b"\x0a\xff")
    made.rename(base_path / str(version))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def answer(manager: Manager, version: int | None = None) -> float:
    with manager.use("m", version) as servable:
        return float(servable.run("", {"x": np.zeros(1, np.float32)})["y"][0])


def states(manager: Manager) -> dict[int, str]:
    return {status.version: status.state.name for status in manager.statuses("m")}


def test_a_newer_version_takes_over_and_the_older_one_comes_back(
    manager: Manager, models: Path, tmp_path: Path
) -> None:
    base_path = tmp_path / "m"
    add(models, base_path, 1)
    manager.start()
    manager.ready.result(timeout=10)
    assert answer(manager) == answer(manager, 1) == 1.0

    add(models, base_path, 2)
    wait_for(lambda: states(manager) == {2: "AVAILABLE", 1: "END"})
    assert answer(manager) == 2.0
    with pytest.raises(StatusError, match=r"Servable not found for request: Specific\(m, 1\)"):
        answer(manager, 1)

    shutil.rmtree(base_path / "2")
    wait_for(lambda: states(manager) == {2: "END", 1: "AVAILABLE"})
    assert answer(manager) == 1.0

    shutil.rmtree(base_path / "1")
    wait_for(lambda: states(manager) == {2: "END", 1: "END"})
    with pytest.raises(StatusError, match=r"Latest\(m\)"):
        answer(manager)

    add(models, base_path, 2)
    wait_for(lambda: states(manager)[2] == "AVAILABLE")


def test_a_version_in_use_is_not_unloaded(manager: Manager, models: Path, tmp_path: Path) -> None:
    add(models, tmp_path / "m", 1)
    manager.start()
    manager.ready.result(timeout=10)
    with manager.use("m") as servable:
        add(models, tmp_path / "m", 2)
        wait_for(lambda: states(manager) == {2: "AVAILABLE", 1: "UNLOADING"})
        time.sleep(0.2)
        assert states(manager)[1] == "UNLOADING"
        assert servable.run("", {"x": np.zeros(1, np.float32)})["y"].tolist() == [1.0]
    wait_for(lambda: states(manager)[1] == "END")


def test_a_broken_version_leaves_the_good_one_serving(manager: Manager, models: Path, tmp_path: Path) -> None:
    add(models, tmp_path / "m", 1)
    manager.start()
    manager.ready.result(timeout=10)
    add(models, tmp_path / "m", 2, broken=True)
    wait_for(lambda: states(manager) == {2: "END", 1: "AVAILABLE"})
    (newest, oldest) = manager.statuses("m")
    assert newest.code is not Code.OK and newest.message
    assert (oldest.code, oldest.message) == (Code.OK, "")
    assert answer(manager) == 1.0

    shutil.rmtree(tmp_path / "m" / "2")
    time.sleep(0.2)
    add(models, tmp_path / "m", 2)  # mended, it gets a new chance
    wait_for(lambda: states(manager) == {2: "AVAILABLE", 1: "END"})


def test_nothing_is_ready_before_a_version_appears(manager: Manager, models: Path, tmp_path: Path) -> None:
    manager.start()
    time.sleep(0.2)
    assert not manager.ready.done()
    with pytest.raises(StatusError, match="Could not find any versions of model m"):
        manager.statuses("m")
    add(models, tmp_path / "m", 1)
    manager.ready.result(timeout=10)


def test_a_model_that_never_loads_is_given_up(manager: Manager, models: Path, tmp_path: Path) -> None:
    add(models, tmp_path / "m", 1, broken=True)
    manager.start()
    with pytest.raises(StatusError, match=r"1 servable\(s\) did not become available: \{\{\{name: m version: 1\} due"):
        manager.ready.result(timeout=10)
    (status,) = manager.statuses("m")
    assert status.state is State.END


def test_a_broken_version_is_forgotten_for_a_newer_good_one(manager: Manager, models: Path, tmp_path: Path) -> None:
    patient = Manager([ModelConfig("m", tmp_path / "m")], ManagerOptions(0.05, 5, 60), LoadOptions())
    add(models, tmp_path / "m", 1, broken=True)
    patient.start()
    wait_for(lambda: not patient.ready.done() and bool(tmp_path) and _knows(patient))
    add(models, tmp_path / "m", 2)
    patient.ready.result(timeout=10)
    assert states(patient) == {2: "AVAILABLE", 1: "END"}
    assert patient.statuses("m", 1)[0].code is Code.CANCELLED
    patient.stop()


def _knows(manager: Manager) -> bool:
    try:
        return states(manager) == {1: "LOADING"}
    except StatusError:
        return False


def test_polling_once_or_never(models: Path, tmp_path: Path) -> None:
    base_path = tmp_path / "m"
    base_path.mkdir()
    once = Manager([ModelConfig("m", base_path)], ManagerOptions(poll_seconds=0), LoadOptions())
    never = Manager([ModelConfig("m", base_path)], ManagerOptions(poll_seconds=-1), LoadOptions())
    add(models, base_path, 1)
    once.start()
    never.start()
    once.ready.result(timeout=10)
    add(models, base_path, 2)
    time.sleep(0.3)
    assert states(once) == {1: "AVAILABLE"}
    assert not never.ready.done()
    once.stop()
    never.stop()

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.program import eventually
from tfserve.model_server.models.config import All, Latest, Specific, VersionPolicy
from tfserve.model_server.models.manager import Manager, ManagerOptions, ModelConfig
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.model_config_pb2 import ModelServerConfig

from ..server_process import PATIENCE
from .versions import add, answer, states, stuck

Config = Callable[..., ModelConfig]

NEWEST = Latest()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Configures a model under a base path of its name."""

    def make(name: str = "m", policy: VersionPolicy = NEWEST, **labels: int) -> ModelConfig:
        return ModelConfig(name, tmp_path / name, policy, labels)

    return make


@contextmanager
def serving(
    *configs: ModelConfig,
    load_threads: int = 0,
    labels_for_unavailable: bool = False,
    wait: bool = True,
    load_options: LoadOptions | None = None,
) -> Iterator[Manager]:
    options = ManagerOptions(0.05, 0, 0, load_threads, 1, labels_for_unavailable)
    manager = Manager(configs, options, load_options or LoadOptions())
    manager.start()
    try:
        if wait:
            manager.ready.result(PATIENCE)
        yield manager
    finally:
        manager.stop()


def refused(manager: Manager, *configs: ModelConfig) -> StatusError:
    """Returns the error with which a configuration is refused."""
    with pytest.raises(StatusError) as caught:
        manager.replace(configs).result(PATIENCE)
    return caught.value


def test_models_are_added_and_removed(models: Path, tmp_path: Path, config: Config) -> None:
    add(models, tmp_path / "m", 1)
    add(models, tmp_path / "n", 2)
    with serving(config("m")) as manager:
        manager.replace((config("m"), config("n"))).result(PATIENCE)
        assert (answer(manager), answer(manager, name="n")) == (1.0, 2.0)

        manager.replace((config("n"),)).result(PATIENCE)
        assert manager.models == (config("n"),)
        eventually(lambda: states(manager) == {1: "END"})
        with pytest.raises(StatusError, match=r"Servable not found for request: Latest\(m\)"):
            answer(manager)
        assert answer(manager, name="n") == 2.0

        manager.replace((config("m"), config("n"))).result(PATIENCE)
        assert answer(manager) == 1.0


def test_a_message_is_checked_and_applied(models: Path, tmp_path: Path) -> None:
    add(models, tmp_path / "m", 1)
    message = ModelServerConfig()
    message.model_config_list.config.add(name="m", base_path=str(tmp_path / "m"), model_platform="tensorflow")
    with serving() as manager:
        manager.reload(message)
        assert answer(manager) == 1.0
        message.model_config_list.config.add(name="m", base_path="/n", model_platform="tensorflow")
        with pytest.raises(StatusError, match="Illegal to list model m multiple times in config list"):
            manager.reload(message)
        assert answer(manager) == 1.0


def test_a_new_model_that_fails_does_not_affect_the_others(models: Path, tmp_path: Path, config: Config) -> None:
    add(models, tmp_path / "m", 1)
    add(models, tmp_path / "bad", 1, broken=True)
    add(models, tmp_path / "n", 2)
    with serving(config("m")) as manager:
        failure = refused(manager, config("m"), config("bad"), config("n"))
        assert failure.code is Code.UNKNOWN
        assert failure.message.startswith(
            "1 model(s) did not become available: {{{name: bad version: 1} due to error: "
        )
        assert (answer(manager), answer(manager, name="n")) == (1.0, 2.0)
        manager.replace((config("m"), config("n"))).result(PATIENCE)
        shutil.rmtree(tmp_path / "bad")
        add(models, tmp_path / "bad", 1)
        manager.replace((config("m"), config("n"), config("bad"))).result(PATIENCE)
        assert answer(manager, name="bad") == 1.0


def test_policies_change_while_serving(models: Path, tmp_path: Path, config: Config) -> None:
    for version in (1, 2):
        add(models, tmp_path / "m", version)
    with serving(config()) as manager:
        assert states(manager) == {2: "AVAILABLE"}
        manager.replace((config(policy=All()),)).result(PATIENCE)
        eventually(lambda: states(manager) == {2: "AVAILABLE", 1: "AVAILABLE"})
        assert (answer(manager), answer(manager, 1)) == (2.0, 1.0)

        manager.replace((config(policy=Specific((1,))),)).result(PATIENCE)
        eventually(lambda: states(manager) == {2: "END", 1: "AVAILABLE"})
        assert answer(manager) == 1.0

        manager.replace((config(policy=Latest(2)),)).result(PATIENCE)
        eventually(lambda: states(manager) == {2: "AVAILABLE", 1: "AVAILABLE"})

        manager.replace((config(policy=Specific((3,))),)).result(PATIENCE)
        eventually(lambda: states(manager) == {2: "END", 1: "END"})


def test_an_old_version_is_served_until_an_aspired_one_is_available(
    models: Path, tmp_path: Path, config: Config
) -> None:
    for version in (1, 2):
        add(models, tmp_path / "m", version)
    with serving(config(policy=All())) as manager:
        eventually(lambda: states(manager) == {2: "AVAILABLE", 1: "AVAILABLE"})
        with stuck(tmp_path / "m", 3):
            manager.replace((config(policy=Latest()),)).result(PATIENCE)
            eventually(lambda: states(manager) == {3: "LOADING", 2: "AVAILABLE", 1: "END"})
            assert answer(manager) == 2.0
        eventually(lambda: states(manager)[3] == "END")
        assert answer(manager) == 2.0


def test_labels(models: Path, tmp_path: Path, config: Config) -> None:
    for version in (1, 2):
        add(models, tmp_path / "m", version)
    with serving(config(policy=All())) as manager:
        eventually(lambda: states(manager) == {2: "AVAILABLE", 1: "AVAILABLE"})
        manager.replace((config(policy=All(), stable=1, canary=2),)).result(PATIENCE)
        assert (answer(manager, None, "stable"), answer(manager, None, "canary")) == (1.0, 2.0)
        manager.replace((config(policy=All(), stable=2),)).result(PATIENCE)
        assert answer(manager, None, "stable") == 2.0
        with pytest.raises(StatusError, match="Unrecognized servable version label: canary") as caught:
            answer(manager, None, "canary")
        assert caught.value.code is Code.INVALID_ARGUMENT

        failure = refused(manager, config(policy=All(), stable=3))
        assert (failure.code, failure.message) == (
            Code.FAILED_PRECONDITION,
            "Request to assign label to version 3 of model m, which is not currently available for inference",
        )
        assert answer(manager, None, "stable") == 2.0

        shutil.rmtree(tmp_path / "m" / "2")
        eventually(lambda: states(manager)[2] == "END")
        with pytest.raises(StatusError, match=r"Servable not found for request: Specific\(m, 2\)"):
            answer(manager, None, "stable")


def test_a_label_for_a_version_that_is_not_available_is_refused(models: Path, tmp_path: Path, config: Config) -> None:
    add(models, tmp_path / "m", 1)
    with pytest.raises(StatusError, match="Request to assign label to version 1 of model m"), serving(config(stable=1)):
        pass


def test_labels_for_unavailable_versions_where_allowed(models: Path, tmp_path: Path, config: Config) -> None:
    add(models, tmp_path / "m", 1)
    with serving(config(stable=1), labels_for_unavailable=True) as manager:
        assert answer(manager, None, "stable") == 1.0
        manager.replace((config(policy=All(), stable=1, canary=2),)).result(PATIENCE)
        with pytest.raises(StatusError, match=r"Specific\(m, 2\)"):
            answer(manager, None, "canary")
        add(models, tmp_path / "m", 2)
        eventually(lambda: states(manager) == {2: "AVAILABLE", 1: "AVAILABLE"})
        assert answer(manager, None, "canary") == 2.0
        failure = refused(
            manager, config(policy=All(), stable=3)
        )  # an existing label can only be moved to an available version
        assert failure.code is Code.FAILED_PRECONDITION


@pytest.mark.parametrize(("threads", "state"), [(0, "START"), (2, "AVAILABLE")])
def test_load_threads(models: Path, tmp_path: Path, config: Config, threads: int, state: str) -> None:
    for name in ("m", "n"):
        add(models, tmp_path / name, 1)
    with serving(config("m"), load_threads=threads) as manager, stuck(tmp_path / "slow", 1):
        manager.replace((config("m"), config("slow"), config("n")))
        eventually(lambda: states(manager, "slow") == {1: "LOADING"} and states(manager, "n") == {1: state})
        assert answer(manager) == 1.0


def test_the_models_of_the_start_load_at_the_same_time(models: Path, tmp_path: Path, config: Config) -> None:
    add(models, tmp_path / "m", 1)
    with ExitStack() as slow:
        slow.enter_context(stuck(tmp_path / "slow", 1))
        with serving(config("slow"), config("m"), wait=False) as manager:
            eventually(lambda: states(manager) == {1: "AVAILABLE"})
            assert not manager.ready.done()
            slow.close()
            with pytest.raises(
                StatusError, match=r"1 servable\(s\) did not become available: \{\{\{name: slow version"
            ):
                manager.ready.result(PATIENCE)


def test_a_model_that_is_removed_while_it_loads_ends(models: Path, tmp_path: Path, config: Config) -> None:
    add(models, tmp_path / "m", 1)
    removed = threading.Event()
    options = LoadOptions(warm_up=lambda servable, directory: assert_set(removed))
    with serving(load_options=options) as manager:
        waiting = manager.replace((config("m"),))
        eventually(lambda: states(manager) == {1: "LOADING"})
        manager.replace(()).result(PATIENCE)
        assert isinstance(waiting.exception(PATIENCE), StatusError)
        assert states(manager) == {1: "LOADING"}
        removed.set()
        eventually(lambda: states(manager) == {1: "END"})
        assert manager.statuses("m")[0].error_message == "Loading of servable cancelled"
        with pytest.raises(StatusError, match="Servable not found"):
            answer(manager)


def assert_set(event: threading.Event) -> None:
    assert event.wait(PATIENCE)


def test_a_wait_ends_when_the_model_is_removed_or_the_manager_stops(
    models: Path, tmp_path: Path, config: Config
) -> None:
    add(models, tmp_path / "m", 1)
    with serving(config("m")) as manager:
        waiting = manager.replace((config("m"), config("none")))
        manager.replace((config("m"),)).result(PATIENCE)
        with pytest.raises(StatusError, match="Model none was removed by a later configuration") as caught:
            waiting.result(PATIENCE)
        assert caught.value.code is Code.ABORTED
        waiting = manager.replace((config("m"), config("none")))
        assert not waiting.cancel()
    for future in (waiting, manager.replace(())):
        with pytest.raises(StatusError) as caught:
            future.result(PATIENCE)
        assert caught.value.code is Code.CANCELLED


def test_no_request_fails_while_configurations_change(models: Path, tmp_path: Path, config: Config) -> None:
    for version in (1, 2):
        add(models, tmp_path / "m", version)
    done = threading.Event()
    answers: list[float | StatusError] = []

    def ask() -> None:
        while not done.is_set():
            try:
                answers.append(answer(manager))
            except StatusError as failure:
                answers.append(failure)

    with serving(config(policy=Specific((1,)))) as manager:
        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for version in (1, 2, 1, 2):
            manager.replace((config(policy=Specific((version,))),)).result(PATIENCE)
            eventually(lambda: set(states(manager).items()) >= {(version, "AVAILABLE")})  # noqa: B023
            eventually(lambda: states(manager).get(3 - version) != "UNLOADING")  # noqa: B023
            asked = len(answers)
            eventually(lambda: len(answers) > asked + 2)  # noqa: B023
        done.set()
        for thread in threads:
            thread.join()
    assert set(answers) == {1.0, 2.0}

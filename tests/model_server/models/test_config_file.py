from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.program import eventually
from tfserve.model_server.models.config_file import ConfigFilePoller, read_models
from tfserve.model_server.models.manager import Manager, ManagerOptions
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.status import Code, StatusError

from ..server_process import PATIENCE
from .versions import add, answer, states

Log = Callable[[], str]


@pytest.fixture
def log(capfd: pytest.CaptureFixture[str]) -> Log:
    """Returns the log since the start of the test."""
    seen = ""

    def read() -> str:
        nonlocal seen
        seen += capfd.readouterr().err
        return seen

    return read


@pytest.fixture
def file(tmp_path: Path, models: Path) -> Path:
    """A configuration file of the model ``m``."""
    add(models, tmp_path / "m", 1)
    path = tmp_path / "models.config"
    write(path, "m")
    return path


@pytest.fixture
def manager(file: Path) -> Iterator[Manager]:
    """Serves the models of the file, and polls it."""
    manager = Manager(read_models(file), ManagerOptions(0.05, 0, 0), LoadOptions())
    manager.start()
    manager.ready.result(PATIENCE)
    poller = ConfigFilePoller(file, 0.02, manager)
    poller.start()
    yield manager
    poller.stop()
    manager.stop()


def write(path: Path, *names: str, more: str = "") -> None:
    """Writes a configuration of models whose base paths are next to the file."""
    models = "".join(
        f'config {{ name: "{name}" base_path: "{path.parent / name}" model_platform: "tensorflow" {more} }}\n'
        for name in names
    )
    put(path, f"model_config_list {{\n{models}}}\n")


def put(path: Path, text: str) -> None:
    made = path.with_suffix(".new")
    made.write_text(text)
    made.replace(path)


def test_changes_of_the_file_are_applied(manager: Manager, file: Path, models: Path, tmp_path: Path, log: Log) -> None:
    add(models, tmp_path / "n", 2)
    write(file, "m", "n")
    eventually(lambda: states(manager, "n") == {2: "AVAILABLE"})
    assert (answer(manager), answer(manager, name="n")) == (1.0, 2.0)
    write(file, "n")
    eventually(lambda: states(manager) == {1: "END"})
    assert log().count("Adding/updating models.") == 2


def test_a_refused_file_is_logged_and_the_old_configuration_stays(manager: Manager, file: Path, log: Log) -> None:
    put(file, "model_config_list {\n  config { nam: 1 }\n}")
    eventually(lambda: f"Failed to read ModelServerConfig file: Invalid protobuf file: '{file}'" in log())
    assert "Error parsing text-format tensorflow.serving.ModelServerConfig: 2:12: Message type " in log()
    write(file, "m", "m")
    refused = "PollFilesystemAndReloadConfig failed to ReloadConfig: Illegal to list model m multiple times"
    eventually(lambda: refused in log())
    put(file, "# nothing\n")
    eventually(lambda: "It is only legal to transition from one ModelConfigList to another." in log())
    file.unlink()
    eventually(lambda: f"Failed to read ModelServerConfig file: {file}; No such file or directory" in log())
    assert answer(manager) == 1.0


def test_a_refused_label_is_tried_again(manager: Manager, file: Path, models: Path, tmp_path: Path, log: Log) -> None:
    more = 'version_labels { key: "new" value: 2 }'
    write(file, "m", more=more)
    refused = "PollFilesystemAndReloadConfig failed to ReloadConfig: Request to assign label to version 2 of model m"
    eventually(lambda: refused in log())
    with pytest.raises(StatusError, match="Unrecognized servable version label: new"):
        answer(manager, None, "new")
    add(models, tmp_path / "m", 2)
    eventually(lambda: manager.models == read_models(file))
    assert answer(manager, None, "new") == 2.0


def test_a_reload_is_overridden(manager: Manager, file: Path) -> None:
    in_file = manager.models
    manager.replace(()).result(PATIENCE)
    eventually(lambda: manager.models == in_file and states(manager) == {1: "AVAILABLE"})


def test_a_missing_file_fails_the_start(tmp_path: Path) -> None:
    with pytest.raises(StatusError, match=r"none\.config; No such file or directory") as caught:
        read_models(tmp_path / "none.config")
    assert caught.value.code is Code.NOT_FOUND

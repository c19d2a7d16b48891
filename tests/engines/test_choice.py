from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

import tfserve
from tests.recorded_progress import RecordedProgress
from tfserve.engines.choice import choose_engine
from tfserve.errors import EngineUnavailableError
from tfserve.gpu.machine import Host
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.model import ModelSpec
from tfserve.spec.serve import ServeSpec


@pytest.fixture
def no_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """No Docker answers at this address."""
    host = f"unix://{tmp_path}/no-docker.sock"
    monkeypatch.setenv("DOCKER_HOST", host)
    return host


def spec(**changes: Any) -> ServeSpec:
    return ServeSpec(**{"name": "m", "models": (ModelSpec(Path("/m"), "m"),), **changes})


def test_an_engine_chosen_by_name_needs_no_notice() -> None:
    progress = RecordedProgress()
    engine, gpu = choose_engine(spec(), "local", "missing", progress, Host())
    assert (engine.name, gpu, progress.notices) == ("local", False, [])


def test_auto_uses_the_local_engine_without_docker_and_reports_it(no_docker: str) -> None:
    progress = RecordedProgress()
    engine, gpu = choose_engine(spec(), "auto", "missing", progress, Host())
    assert (engine.name, gpu) == ("local", False)
    assert progress.notices == [f"No Docker Engine answers at {no_docker}. Serving with the local engine instead."]


@pytest.mark.usefixtures("no_docker")
@pytest.mark.parametrize(
    ("choice", "changes"),
    [
        ("docker", {}),
        ("auto", {"image": "my/serving"}),
        ("auto", {"tag": "2.18.0"}),
        ("auto", {"platform": "linux/amd64"}),
        ("auto", {"memory": 2**30}),
        ("auto", {"cpus": 1.0}),
        ("auto", {"restart": "always"}),
        ("auto", {"gpu": True}),
        ("auto", {"gpus": GpuRequest(count=1)}),
    ],
)
def test_container_options_need_docker(choice: Any, changes: dict[str, Any]) -> None:
    progress = RecordedProgress()
    with pytest.raises(EngineUnavailableError, match="No Docker Engine answers") as caught:
        choose_engine(spec(**changes), choice, "missing", progress, Host())
    assert caught.value.exit_code == 4
    assert "docs.docker.com" in str(caught.value.hint)
    assert "DOCKER_HOST names this address" in str(caught.value.hint)
    assert ("engine='local'" in str(caught.value.hint)) is not bool(changes)  # it would refuse them
    assert caught.value.doctor
    assert progress.notices == []


@pytest.mark.parametrize("address", ["bogus://x", "tcp://", "fd://", "tcp://127.0.0.1:99999"])
def test_an_invalid_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(EngineUnavailableError, match="is not an address of a Docker Engine") as caught:
        choose_engine(spec(), "docker", "missing", RecordedProgress(), Host())
    assert repr(address) in caught.value.message
    assert "unset DOCKER_HOST" in str(caught.value.hint)
    assert "docker context ls" not in str(caught.value.hint)


def test_an_engine_that_hangs_is_contacted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfserve.engines.docker.client._PING_SECONDS", 0.2)
    host, progress = f"unix://{tmp_path}/docker.sock", RecordedProgress()
    monkeypatch.setenv("DOCKER_HOST", host)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "docker.sock"))
        silent.listen()
        silent.settimeout(0.0)
        for _ in range(2):
            choose_engine(spec(), "auto", "missing", progress, Host())
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
    said = f"The Docker Engine at {host} hangs: no answer within 0.2 s. Serving with the local engine instead."
    assert progress.notices == [said, said]


def test_without_an_engine_both_solutions_are_named(no_docker: str, tmp_path: Path) -> None:
    """An installation without the extra `local`: everything that is installed here, but for TensorFlow."""
    installed = tmp_path / "site-packages"
    installed.mkdir()
    for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if "tensorflow" not in path.name.lower():
            (installed / path.name).symlink_to(path)
    program = """
from pathlib import Path
from tfserve.engines.choice import choose_engine
from tfserve.gpu.machine import Host
from tfserve.engines.local.runtime import is_installed
from tfserve.errors import EngineUnavailableError
from tfserve.plan.launch_plan import HostPorts
from tfserve.spec.gpus import GpuRequest
from tfserve.progress import Silent
from tfserve.spec.model import ModelSpec
from tfserve.spec.serve import ServeSpec
assert not is_installed()
spec = ServeSpec("m", (ModelSpec(Path("/m"), "m"),))
engine, _ = choose_engine(spec, "local", "missing", Silent(), Host())
for attempt in (
    lambda: choose_engine(spec, "auto", "missing", Silent(), Host()),
    lambda: engine.plan(spec, (), HostPorts(1, None), gpu=False),
):
    try:
        attempt()
    except EngineUnavailableError as error:
        print(error.message, *error.hint.splitlines())
"""
    source = Path(tfserve.__file__).parent.parent
    environment = {"PATH": "", "DOCKER_HOST": no_docker, "PYTHONPATH": os.pathsep.join([str(source), str(installed)])}
    command = [sys.executable, "-S", "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    auto, local = done.stdout.splitlines()
    assert "Nor is the local engine installed." in auto
    assert "https://docs.docker.com/engine/install/" in auto
    assert "The local engine is not installed; missing packages: tensorflow." in local
    assert all("pip install 'tfserve-cli[local]'" in line for line in (auto, local))

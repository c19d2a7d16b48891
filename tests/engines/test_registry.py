"""A new engine is one new package; it is offered, listed and used without a change anywhere else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.engines.memory import MemoryEngine
from tests.engines.memory_package import installed, write_package
from tests.program import Program
from tests.recorded_progress import RecordedProgress
from tfserve.defaults import engine_names
from tfserve.engines.choice import choose_engine
from tfserve.engines.registry import automatic_kinds, engine_kinds
from tfserve.errors import NoSuchServerError
from tfserve.gpu.machine import Host
from tfserve.servers.launch import launch
from tfserve.servers.lookup import find_server, list_servers
from tfserve.spec.model import ModelSpec
from tfserve.spec.serve import LaunchOptions, ServeSpec

ROOT = Path(__file__).parents[2]
# Starts the program with the package installed, and with a server on its engine.
PROGRAM = """
import sys
import tfserve.engines
tfserve.engines.__path__.append(sys.argv.pop(1))
from pathlib import Path
from tests.engines.memory import KIND
from tfserve.models.saved_model import find_model
from tfserve.plan.launch_plan import HostPorts
from tfserve.spec.model import ModelSpec
from tfserve.spec.serve import ServeSpec
model = Path(sys.argv.pop(1))
spec = ServeSpec("kept", (ModelSpec(model, "m"),))
KIND.engine.launch(KIND.engine.plan(spec, [find_model(model)], HostPorts(None, 8500), gpu=False))
from tfserve.cli import main
main()
"""


@pytest.fixture
def memory(tmp_path: Path, state_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryEngine]:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-docker.sock")
    with installed(tmp_path / "engines") as engine:
        yield engine


def spec(model: Path, name: str = "m") -> ServeSpec:
    return ServeSpec(name, (ModelSpec(model, "m"),))


@pytest.mark.usefixtures("memory")
def test_it_is_known() -> None:
    assert engine_names() == ("docker", "local", "memory")
    assert [kind.name for kind in engine_kinds()] == ["docker", "local", "memory"]
    assert [kind.name for kind in automatic_kinds()] == ["docker", "memory", "local"]


def test_without_the_package_it_is_not() -> None:
    assert engine_names() == ("docker", "local")


def test_its_servers_are_listed_and_found(memory: MemoryEngine, half_plus_two: Path) -> None:
    options = LaunchOptions(engine="memory", smoke_test=False)
    server = launch(spec(half_plus_two), options, RecordedProgress()).server
    assert list_servers().servers == list_servers("memory").servers == (server,)
    assert find_server("m").engine is memory
    with pytest.raises(NoSuchServerError):
        find_server("m", "local")


@pytest.mark.usefixtures("memory")
def test_auto_chooses_by_rank(half_plus_two: Path) -> None:
    progress = RecordedProgress()
    assert choose_engine(spec(half_plus_two), "auto", "missing", progress, Host()).engine.name == "memory"
    assert "Serving with the memory engine instead." in progress.notices[0]


def test_the_command_line_offers_it(tfserve: Program, tmp_path: Path, half_plus_two: Path) -> None:
    packages = write_package(tmp_path / "engines")

    def run(*arguments: str) -> CompletedProcess[str]:
        command = [sys.executable, "-c", PROGRAM, str(packages), str(half_plus_two), *arguments]
        return subprocess.run(command, env=tfserve.environment, cwd=ROOT, capture_output=True, text=True)

    assert "auto|docker|local|memory" in run("ps", "--help").stdout
    assert "memory" in run("run", "--help").stdout.partition("--engine")[2]
    assert '"memory"' in run("schema").stdout
    (listed,) = json.loads(run("ps", "--json").stdout)
    assert (listed["name"], listed["engine"], listed["state"]) == ("kept", "memory", "running")
    assert "kept" in run("ps", "--engine", "memory").stdout
    assert json.loads(run("ps", "--engine", "local", "--json").stdout) == []
    examined = run("doctor").stdout
    assert "ok    memory-engine" in examined
    assert "and with the memory engine." in examined
    mistyped = run("ps", "--engine", "memroy")
    assert mistyped.returncode == 2
    assert "Did you mean memory?" in mistyped.stderr

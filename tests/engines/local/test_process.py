"""Servers that start together are forks of one process that has loaded TensorFlow, and behave like any other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from tests.free_ports import free_ports
from tests.program import Plan, eventually
from tfserve.engines.base import Exit
from tfserve.engines.local.engine import LocalEngine
from tfserve.engines.local.process import Start, start_process, starting_together
from tfserve.engines.local.runtime import OWN_COMMAND
from tfserve.plan.launch_plan import LaunchPlan, PublishedPort

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux do servers start from another one")


def plan_of(plan: Plan, model: Path, name: str, port: int, **environment: str) -> LaunchPlan:
    """The plan of a model server on a port of its own."""
    flags = (f"--rest_api_port={port}", "--port=0", "--model_name=m", f"--model_base_path={model}")
    command = (*OWN_COMMAND, "--bind_address=127.0.0.1", *flags)
    return plan(name=name, command=command, rest=PublishedPort(port, "127.0.0.1", port), environment=environment)


def answers(url: str | None) -> bool:
    try:
        answer = requests.post(f"{url}/v1/models/m:predict", json={"instances": [1.0]}, timeout=10)
    except requests.ConnectionError:
        return False
    return bool(answer.json() == {"predictions": [2.5]})


def test_servers_that_start_together(engine: LocalEngine, python_plan: Plan, half_plus_two: Path) -> None:
    *ports, port = free_ports(3)
    with starting_together(4):
        a, b = (engine.launch(plan_of(python_plan, half_plus_two, *own)) for own in zip("ab", ports, strict=True))
        elsewhere = engine.launch(plan_of(python_plan, half_plus_two, "c", port, GREETING="hello"))
        other = engine.launch(python_plan("import time; time.sleep(60)", name="other"))
        parents = {_status(server.pid)["PPid"] for server in (a, b)}
        assert len(parents) == 1
        assert _status(elsewhere.pid)["PPid"] not in parents
        assert _status(other.pid)["PPid"] == str(os.getpid())
    assert not Path(f"/proc/{parents.pop()}").exists()
    for server in (a, b, elsewhere):
        eventually(lambda: answers(server.rest_url))  # noqa: B023
        assert os.getsid(server.pid or 0) == server.pid
        assert any("Entering the event loop" in line for line in server.logs())
        directory = Path(os.environ["XDG_STATE_HOME"], "tfserve", "servers", server.name)
        assert Path(f"/proc/{server.pid}/cwd").readlink() == directory
        opened = set()
        for path in Path(f"/proc/{server.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # it has been closed in the meantime
                opened.add(path.readlink())
        assert {path for path in opened if path.is_absolute() and path.is_relative_to(directory.parent)} == {
            directory / "lock",
            directory / "server.log",
        }
    assert b"GREETING=hello" in Path(f"/proc/{elsewhere.pid}/environ").read_bytes().split(b"\0")


def test_exit_codes_are_known_during_the_block(engine: LocalEngine, python_plan: Plan, half_plus_two: Path) -> None:
    named = zip(("killed", "stopped"), free_ports(2), strict=True)
    with starting_together(3):
        killed, stopped = (engine.launch(plan_of(python_plan, half_plus_two, *own)) for own in named)
        without_a_model = engine.launch(python_plan(name="without", command=(*OWN_COMMAND, "--port=0")))
        eventually(lambda: answers(stopped.rest_url))
        stopped.stop(grace=10)
        os.kill(killed.pid or 0, signal.SIGKILL)
        eventually(lambda: not any(server.running for server in engine.servers()))
        exits = {server.name: server.exit for server in engine.servers()}
        assert exits == {"killed": Exit(137), "stopped": Exit(0), "without": Exit(255)}
    assert "model_base_path" in "\n".join(without_a_model.logs())


def test_a_single_server_is_started_directly(tmp_path: Path) -> None:
    with starting_together(1):
        assert isinstance(_start(tmp_path, {}), subprocess.Popen)


def test_the_server_itself_reports_what_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "uvloop.py").write_text("raise ImportError('broken')")
    with starting_together(2):
        process = _start(tmp_path, {"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[3]}"})
    assert isinstance(process, subprocess.Popen)
    assert process.wait(60) == 1
    assert "ImportError: broken" in (tmp_path / "log").read_text()


def _start(directory: Path, environment: dict[str, str]) -> object:
    """Starts a server of a model that does not exist."""
    command = (*OWN_COMMAND, "--port=0", f"--rest_api_port={free_ports(1)[0]}", "--model_base_path=/none")
    with (directory / "log").open("wb") as log, (directory / "lock").open("wb") as lock:
        process = start_process(Start(command, directory, {**os.environ, **environment}, log.fileno(), lock.fileno()))
    if not environment:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return process


def _status(pid: int | None) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

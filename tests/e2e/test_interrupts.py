"""Ctrl-C, SIGTERM and a dying engine, in every phase: the right exit code, and nothing left behind."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from docker import DockerClient

from .conftest import Tfserve

HALF_PLUS_TWO = Path(__file__).parents[2] / "examples" / "half_plus_two"
PORTS = ("--rest-port", "0", "--grpc-port", "0")


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_wait_leaves_no_container(
    number: signal.Signals,
    code: int,
    tfserve: Tfserve,
    unique_name: Callable[[], str],
    docker_client: DockerClient,
) -> None:
    name = unique_name()
    process = tfserve.start("run", HALF_PLUS_TWO, "--name", name, *PORTS, "--wait", "60", "--no-smoke-test")
    wait_for(lambda: docker_client.api.containers(all=True, filters={"name": name}))
    process.send_signal(number)
    assert process.wait(timeout=30) == code
    assert not docker_client.api.containers(all=True, filters={"name": name})


@pytest.mark.parametrize("seconds", [0.1, 0.25, 0.3, 0.35, 0.4, 0.5, 0.8])
def test_an_interrupt_at_any_moment_leaves_no_container(
    seconds: float, tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient
) -> None:
    name = unique_name()
    process = tfserve.start("run", HALF_PLUS_TWO, "--name", name, *PORTS, "--no-smoke-test")
    time.sleep(seconds)  # not a wait for something: a moment somewhere in the command's life
    process.send_signal(signal.SIGINT)
    code = process.wait(timeout=30)
    left = docker_client.api.containers(all=True, filters={"name": name})
    if code == 0:  # it had done its work by then
        assert left[0]["State"] == "running"
    else:
        assert code in (130, -signal.SIGINT)  # the latter while Python itself still starts
        assert not left


def test_foreground_shows_the_log_and_stops_on_ctrl_c(tfserve: Tfserve, unique_name: Callable[[], str]) -> None:
    name = unique_name()
    process = tfserve.start("run", HALF_PLUS_TWO, "--name", name, *PORTS, "--foreground")
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "Entering the event loop" in line:
            break
    process.send_signal(signal.SIGINT)
    process.stderr.read()
    assert process.wait(timeout=30) == 130
    assert any("Building single TensorFlow model file config" in line for line in lines)
    assert '"state": "exited"' in tfserve("status", name, "--json").stdout  # it stays, for its log


def test_following_a_log_ends_with_its_server(tfserve: Tfserve, unique_name: Callable[[], str]) -> None:
    name = unique_name()
    assert tfserve("run", HALF_PLUS_TWO, "--name", name, *PORTS, "--no-smoke-test").returncode == 0
    process = tfserve.start("logs", name, "--follow")
    assert process.stdout is not None
    assert process.stdout.readline()
    assert tfserve("stop", name).returncode == 0
    process.stdout.read()
    assert process.wait(timeout=30) == 0


def test_a_server_killed_while_it_predicts(
    tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient
) -> None:
    name = unique_name()
    assert tfserve("run", HALF_PLUS_TWO, "--name", name, *PORTS, "--no-smoke-test").returncode == 0
    container = docker_client.containers.get(f"tfserve-{name}")
    container.pause()
    process = tfserve.start("predict", name, "1", "--timeout", "60")
    time.sleep(1.0)  # the question is on its way by now, and the paused server cannot answer it
    container.kill()
    assert process.wait(timeout=30) == 8
    assert process.stderr is not None
    assert "Hint:" in process.stderr.read()

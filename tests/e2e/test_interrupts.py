"""Ctrl-C and SIGTERM in every phase of a command: the exit code is right, and no container is left behind."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from docker import DockerClient

from tests.program import eventually

from .conftest import Tfserve

HALF_PLUS_TWO = Path(__file__).parents[2] / "examples" / "half_plus_two"
PORTS = ("--rest-port", "0", "--grpc-port", "0")


def is_connected_to(port: int) -> bool:
    """Whether a process of this machine has a connection to this TCP port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(remote.endswith(f":{port:04X}") and state == "01" for _, _, remote, state, *_ in rows)


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
    eventually(lambda: docker_client.api.containers(all=True, filters={"name": name}))
    process.send_signal(number)
    assert process.wait(timeout=30) == code
    assert not docker_client.api.containers(all=True, filters={"name": name})


def test_an_interrupt_at_any_moment_leaves_no_container(
    tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient
) -> None:
    codes = []
    for seconds in (0.1, 0.25, 0.3, 0.35, 0.4, 0.5, 0.8):
        name = unique_name()
        process = tfserve.start("run", HALF_PLUS_TWO, "--name", name, *PORTS, "--no-smoke-test")
        time.sleep(seconds)  # to interrupt at different moments; not to wait for a condition
        process.send_signal(signal.SIGINT)
        codes.append(process.wait(timeout=30))
        containers = docker_client.api.containers(all=True, filters={"name": name})
        if codes[-1] == 0:  # it was already done
            assert containers[0]["State"] == "running"
            assert tfserve("rm", "--force", name).returncode == 0
        else:
            assert codes[-1] in (130, -signal.SIGINT)  # the latter while Python itself starts
            assert not containers
    assert 130 in codes, f"no run was interrupted: {codes}"


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
    assert '"state": "exited"' in tfserve("status", name, "--json").stdout  # it is kept for its log


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
    ran = tfserve("run", HALF_PLUS_TWO, "--name", name, *PORTS, "--no-smoke-test", "--json")
    assert ran.returncode == 0, ran.stderr
    port = urlsplit(json.loads(ran.stdout)["rest_url"]).port
    assert port is not None
    container = docker_client.containers.get(f"tfserve-{name}")
    container.pause()
    process = tfserve.start("predict", name, "1", "--timeout", "60")
    eventually(lambda: is_connected_to(port))  # the paused server cannot answer
    container.kill()
    assert process.wait(timeout=30) == 8
    assert process.stderr is not None
    assert "Hint:" in process.stderr.read()

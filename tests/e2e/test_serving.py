"""``tfserve.serve()`` on a real engine: it serves over both APIs, and leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from docker import DockerClient

import tfserve as package
from tfserve.client.numpy_client import Client
from tfserve.client.results import Class
from tfserve.errors import NotReadyError

from .bring_up import Engine
from .conftest import Tfserve

HALF_PLUS_TWO = Path(__file__).parents[2] / "examples" / "half_plus_two"


@pytest.fixture(autouse=True)
def docker_only(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def containers(client: DockerClient, name: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = client.api.containers(all=True, filters={"name": name})
    return found


def test_serves_and_leaves_nothing(unique_name: Callable[[], str], docker_client: DockerClient) -> None:
    name = unique_name()
    with (
        pytest.raises(ZeroDivisionError),
        package.serve(HALF_PLUS_TWO, name=name, engine="docker", memory="2g", environment={"A": "b=c"}) as server,
    ):
        (found,) = containers(docker_client, name)
        settings = docker_client.api.inspect_container(found["Id"])
        assert settings["HostConfig"]["Memory"] == 2 * 2**30
        assert "A=b=c" in settings["Config"]["Env"]
        assert server.engine == "docker"
        assert any("Entering the event loop" in line for line in server.logs())
        with Client(str(server.grpc_address), model="half_plus_two", api="grpc") as over_grpc:
            for client in (server, over_grpc):
                np.testing.assert_array_equal(client.predict([1, 2, 5]), [2.5, 3.0, 4.5])
                assert client.classify([{"x": 1.0}]) == [[Class("", 2.5)]]
                assert client.regress([{"x": 1.0}], signature="regress_x_to_y").tolist() == [2.5]
                assert client.metadata().version == client.status()[0].version == 1
        raise ZeroDivisionError
    assert not containers(docker_client, name)
    server.close()


def test_a_failure_leaves_nothing(unique_name: Callable[[], str], docker_client: DockerClient) -> None:
    name = unique_name()
    with pytest.raises(NotReadyError):
        package.serve(HALF_PLUS_TWO, name=name, engine="docker", wait_seconds=0.001)
    assert not containers(docker_client, name)


def test_ctrl_c_leaves_nothing(
    tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient, tmp_path: Path
) -> None:
    name = unique_name()
    program = f"""
import time, tfserve
with tfserve.serve({str(HALF_PLUS_TWO)!r}, name={name!r}, engine="docker") as server:
    print(server.predict([1.0]), flush=True)
    time.sleep(60)
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=tfserve.environment, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "[2.5]\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT
    assert not containers(docker_client, name)

"""An engine that dies during a command: exit code 4, a message and a hint, no traceback, and no hanging."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import docker

from .bring_up import Engine
from .conftest import Tfserve
from .dockerd import Dockerd

HALF_PLUS_TWO = Path(__file__).parents[2] / "examples" / "half_plus_two"
PORTS = ("--rest-port", "0", "--grpc-port", "0", "--no-smoke-test")


def assert_reported(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 4, errors
    assert "Hint:" in errors
    assert "Traceback" not in errors


def wait_for_line(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    assert any(words in line for line in process.stderr)


def silent_image(engine: Dockerd) -> str:
    """Makes an image whose server never becomes ready."""
    client = docker.DockerClient(base_url=engine.host)
    container = client.containers.create("tensorflow/serving")
    container.commit("silent", "latest", changes='ENTRYPOINT ["sleep", "600"]')
    container.remove()
    client.close()
    return "silent:latest"


def on_a_terminal(*arguments: str, environment: dict[str, str]) -> str:
    """Runs tfserve with a terminal as its stderr, and returns what it printed there."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "tfserve", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=slave, env=environment) as process:
        os.close(slave)
        shown = b""
        with suppress(OSError):  # the terminal has been closed by all who wrote to it
            while data := os.read(master, 65536):
                shown += data
    os.close(master)
    assert process.returncode == 0, shown
    return shown.decode()


def test_in_every_phase(throwaway_engine: Dockerd, engine: Engine, tfserve: Tfserve) -> None:
    """All phases use one engine, as each new engine has to pull the image first."""
    host = {"DOCKER_HOST": throwaway_engine.host}

    interrupted = tfserve.start("pull", env=host)
    wait_for_line(interrupted, "Pulling")
    interrupted.send_signal(signal.SIGINT)
    assert interrupted.wait(timeout=30) == 130

    pulling = tfserve.start("pull", env=host)
    wait_for_line(pulling, "Pulling")
    throwaway_engine.kill()
    assert_reported(pulling)
    throwaway_engine.stop()
    assert engine.mirror is not None
    throwaway_engine.start(engine.mirror)

    shown = on_a_terminal("pull", environment={**tfserve.environment, **host})
    assert "Downloading" in shown
    assert "Pull complete" in shown

    assert tfserve("run", HALF_PLUS_TWO, "--name", "logged", *PORTS, env=host).returncode == 0
    following = tfserve.start("logs", "logged", "--follow", env=host)
    assert following.stdout is not None
    assert following.stdout.readline()
    silent = silent_image(throwaway_engine)
    waiting = tfserve.start("run", HALF_PLUS_TWO, "--name", "waiting", "--image", silent, *PORTS, env=host)
    wait_for_line(waiting, "Waiting for")
    throwaway_engine.kill()
    assert_reported(following)
    assert_reported(waiting)

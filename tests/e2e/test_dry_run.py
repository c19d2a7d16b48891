"""The ``docker run`` command that is printed creates the same container as ``tfserve run``."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from tests.free_ports import free_ports

from .conftest import Tfserve

HALF_PLUS_TWO = Path(__file__).parents[2] / "examples" / "half_plus_two"

OPTIONS: tuple[tuple[str, ...], ...] = (
    (),
    (
        *("--memory", "1g", "--cpus", "0.75", "--restart", "unless-stopped"),
        *(
            "--env",
            "SECRET=hunter2",
            "--env",
            'QUOTED=it\'s "x" $(y) `z` \\ \n',
            "--",
            "--enable_batching=false",
            "--saved_model_tags=serve",
        ),
    ),
)


@pytest.mark.parametrize("options", OPTIONS, ids=["defaults", "everything"])
def test_the_line_makes_the_same_container(
    options: tuple[str, ...], tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient
) -> None:
    name = unique_name()
    rest, grpc = map(str, free_ports(2))
    ports = ("--rest-port", rest, "--grpc-port", grpc)
    arguments = ("run", HALF_PLUS_TWO, "--name", name, "--engine", "docker", "--no-smoke-test", *ports)
    dry = tfserve(*arguments, "--dry-run", *options)
    assert dry.returncode == 0, dry.stderr
    assert not docker_client.api.containers(all=True, filters={"name": f"tfserve-{name}"})
    assert "hunter2" not in dry.stdout
    exported = {**os.environ, "SECRET": "hunter2"}
    pasted = subprocess.run(["bash", "-c", dry.stdout], capture_output=True, text=True, check=False, env=exported)
    assert pasted.returncode == 0, pasted.stderr
    by_hand = docker_client.api.inspect_container(f"tfserve-{name}")
    assert tfserve("status", name).returncode == 0  # its labels make it a server like any other
    assert tfserve("rm", "--force", name).returncode == 0
    ran = tfserve(*arguments, *options)
    assert ran.returncode == 0, ran.stderr
    by_tfserve = docker_client.api.inspect_container(f"tfserve-{name}")
    assert comparable(by_hand) == comparable(by_tfserve)


def comparable(container: dict[str, Any]) -> dict[str, Any]:
    """The settings of a container that do not change at each start; None and an empty list mean the same."""
    transient = ("Hostname", "AttachStdout", "AttachStderr", "ConsoleSize", "ContainerIDFile", "Env")
    settings = {**container["Config"], **container["HostConfig"]}
    mounts = [{key: mount[key] for key in ("Type", "Source", "Destination", "RW")} for mount in container["Mounts"]]
    return {
        "name": container["Name"],
        "image": container["Image"],
        "mounts": sorted(mounts, key=lambda mount: str(mount["Destination"])),
        "environment": sorted(container["Config"]["Env"]),
        **{key: _plain(value) for key, value in settings.items() if key not in transient},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value] or None
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value or None

"""``tfserve up`` and ``down`` with containers, some of which get configuration files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from docker import DockerClient

from tfserve.config.read import read_servers
from tfserve.engines.docker.engine import DockerEngine
from tfserve.engines.docker.translate import container_arguments
from tfserve.models.saved_model import find_model
from tfserve.plan.launch_plan import HostPorts

from .conftest import Tfserve
from .test_dry_run import HALF_PLUS_TWO


def test_two_servers_of_one_file(tfserve: Tfserve, unique_name: Callable[[], str], tmp_path: Path) -> None:
    one, two = unique_name(), unique_name()
    file = tmp_path / "tfserve.yaml"
    text = f"""
defaults: {{engine: docker, rest_port: 0, grpc_port: 0}}
servers:
  {one}:
    models: [{{path: {HALF_PLUS_TWO}, name: a}}, {{path: {HALF_PLUS_TWO}, name: b, labels: {{stable: 1}}}}]
    monitoring: {{path: /metrics}}
    batching: {{max_batch_size: 8, batch_timeout_micros: 100, allowed_batch_sizes: [4, 8]}}
  {two}:
    models: [{HALF_PLUS_TWO}]
    env: {{GREETING: "${{GREETING:-hello}}"}}
    memory: 1g
"""
    file.write_text(text)

    def up(**environment: str) -> dict[str, Any]:
        done = tfserve("up", "--json", env=environment)
        assert done.returncode == 0, done.stderr
        return {server["name"]: server for server in json.loads(done.stdout)}

    first = up()
    assert {name: server["action"] for name, server in first.items()} == {one: "create", two: "create"}
    url = first[one]["rest_url"]
    assert "# TYPE" in requests.get(f"{url}/metrics", timeout=10).text
    answer = requests.post(f"{url}/v1/models/b/labels/stable:predict", json={"instances": [1.0]}, timeout=10)
    assert answer.json() == {"predictions": [2.5]}
    again = up()
    assert {name: server["action"] for name, server in again.items()} == {one: "leave", two: "leave"}
    changed = up(GREETING="good morning")
    assert {name: server["action"] for name, server in changed.items()} == {one: "leave", two: "recreate"}
    ids = {name: server["container_id"] for name, server in changed.items()}
    assert ids[one] == first[one]["container_id"]
    assert ids[two] != first[two]["container_id"]
    assert tfserve("stop", one).returncode == 0
    file.write_text(text.replace("memory: 1g", "memory: 2g"))
    dry = tfserve("up", "--dry-run")
    assert f"# {one}: start\n# {two}: recreate (env, memory changed)\ndocker run" in dry.stdout
    down = tfserve("down", "--json")
    assert sorted(json.loads(down.stdout)) == sorted([one, two])


@dataclass(frozen=True)
class File:
    """A ``tfserve.yaml`` of one server, in the directory where the program runs."""

    path: Path
    name: str

    def write(self, models: str, **fields: object) -> None:
        more = "".join(f"\n    {field}: {value}" for field, value in fields.items())
        self.path.write_text(
            f"defaults: {{engine: docker, rest_port: 0, grpc_port: 0}}\n"
            f"servers:\n  {self.name}:\n    models: [{models}]{more}\n"
        )


@pytest.fixture
def file(unique_name: Callable[[], str], tmp_path: Path) -> File:
    return File(tmp_path / "tfserve.yaml", unique_name())


A, B = f"{{path: {HALF_PLUS_TWO}, name: a}}", f"{{path: {HALF_PLUS_TWO}, name: b}}"


def up(tfserve: Tfserve) -> dict[str, Any]:
    done = tfserve("up", "--json")
    assert done.returncode == 0, done.stderr
    (server,) = json.loads(done.stdout)
    assert server["health"] == "available"
    return dict(server)


def test_changes_by_the_models_command_are_seen(tfserve: Tfserve, file: File) -> None:
    def step() -> str:
        return tfserve("up", "--dry-run").stdout.splitlines()[0].removeprefix(f"# {file.name}: ")

    labeled = A.replace("name: a", "name: a, labels: {stable: 1}")
    file.write(labeled)
    assert up(tfserve)["action"] == "create"
    assert tfserve("models", file.name, "label", "a", "canary=1").returncode == 0
    assert step() == "recreate (models changed)"
    file.write(labeled.replace("stable: 1", "stable: 1, canary: 1"))
    assert step() == "leave"
    assert tfserve("models", file.name, "add", f"{HALF_PLUS_TWO}=b").returncode == 0
    assert step() == "recreate (models changed)"
    file.write(labeled.replace("stable: 1", "stable: 1, canary: 1") + f", {B}", memory="1g")
    assert step() == "recreate (memory, models changed)"  # a copy in the container gets no new versions
    assert "Waiting for a, b to become AVAILABLE" in tfserve("restart", file.name).stderr
    assert up(tfserve)["action"] == "recreate"
    assert step() == "leave"


def test_a_container_that_was_never_started(tfserve: Tfserve, file: File, docker_client: DockerClient) -> None:
    """A container as it is left if tfserve is killed before it has copied the files into it."""
    file.write(f"{A}, {B}")
    (configured,) = read_servers(file.path, {})
    directory = find_model(HALF_PLUS_TWO)
    engine = DockerEngine(docker_client.api)
    plan = engine.plan(configured.spec, [directory] * 2, HostPorts(0, 0), gpu=False)
    docker_client.api.create_container(**container_arguments(docker_client.api, plan))
    done = tfserve("start", file.name)
    assert (done.returncode, done.stdout) == (7, "")
    assert f"{file.name!r} was only partly created" in done.stderr
    done = tfserve("up")
    assert done.stderr.startswith(f"{file.name}: recreate (it was never started)\n")
    assert done.returncode == 0, done.stderr
    assert up(tfserve)["action"] == "leave"


@pytest.mark.parametrize("command", ["up", "start"])
def test_a_paused_container(command: str, tfserve: Tfserve, file: File, docker_client: DockerClient) -> None:
    file.write(A)
    made = up(tfserve)
    docker_client.containers.get(made["container_id"]).pause()
    if command == "up":
        again = up(tfserve)
        assert again["action"] == "unpause"
    else:
        (again,) = json.loads(tfserve("start", "--json", file.name).stdout)
    assert (again["container_id"], again["state"], again["health"]) == (made["container_id"], "running", "available")


def test_two_concurrent_runs(tfserve: Tfserve, file: File, docker_client: DockerClient) -> None:
    for memory in ("1g", "2g"):
        file.write(A, memory=memory)
        both = [tfserve.start("up", "--json") for _ in range(2)]
        outputs = [process.communicate(timeout=60) for process in both]
        assert [process.returncode for process in both] == [0, 0], outputs
        ids = {server["container_id"] for stdout, _ in outputs for server in json.loads(stdout)}
        assert ids == {container["Id"] for container in containers_of(file, docker_client)}


def test_a_container_that_a_killed_command_suspended(tfserve: Tfserve, file: File, docker_client: DockerClient) -> None:
    file.write(A, memory="1g")
    left = docker_client.containers.get(up(tfserve)["container_id"])
    left.rename(f"tfserve-{file.name}.replaced")
    file.write(A, memory="2g")
    second = up(tfserve)
    assert [container["Id"] for container in containers_of(file, docker_client)] == [second["container_id"]]
    labels = docker_client.containers.get(second["container_id"]).labels

    def suspend() -> None:
        docker_client.containers.create("tensorflow/serving", name=f"tfserve-{file.name}.replaced", labels=labels)

    suspend()
    file.write(A, memory="3g")
    third = up(tfserve)
    assert [container["Id"] for container in containers_of(file, docker_client)] == [third["container_id"]]
    suspend()
    assert tfserve("down").returncode == 0
    assert containers_of(file, docker_client) == []


def containers_of(file: File, docker_client: DockerClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = docker_client.api.containers(all=True, filters={"label": f"tfserve.name={file.name}"})
    return found

"""Several models in a container: the set of models changes without a failed request."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docker import DockerClient

from tests.constant_load import constant_load
from tests.free_ports import free_ports
from tests.program import eventually

from .conftest import Tfserve
from .test_dry_run import HALF_PLUS_TWO, comparable

HALF_PLUS_N = HALF_PLUS_TWO.with_name("half_plus_n")


def versions(path: Path, *names: str) -> Path:
    for name in names:
        shutil.copytree(HALF_PLUS_TWO / "1", path / name)
    return path


def states(tfserve: Tfserve, name: str) -> dict[str, dict[int, tuple[str, list[str]]]]:
    """The output of ``tfserve models``: by model, the state and the labels of each version."""
    listed = tfserve("models", name, "--json")
    assert listed.returncode == 0, listed.stderr
    return {
        model["name"]: {v["version"]: (v["state"], v["labels"]) for v in model["versions"]}
        for model in json.loads(listed.stdout)
    }


def test_changes_under_load(tfserve: Tfserve, unique_name: Callable[[], str], tmp_path: Path) -> None:
    name = unique_name()
    a = versions(tmp_path / "a", "1", "2")
    ran = tfserve(
        *("run", a, f"{HALF_PLUS_TWO}=b", "--name", name, "--versions", "a:all", "--label", "a:stable=1"),
        *("--engine", "docker", "--rest-port", "0", "--grpc-port", "0", "--json"),
    )
    assert ran.returncode == 0, ran.stderr
    served = json.loads(ran.stdout)
    assert [model["name"] for model in served["models"]] == ["a", "b"]
    broken = versions(tmp_path / "broken", "1")
    (broken / "1" / "variables" / "variables.data-00000-of-00001").write_bytes(b"")
    with constant_load(served["rest_url"], "a", "a/labels/stable") as load:
        for words in (
            ("add", f"{versions(tmp_path / 'c', '7')}"),
            ("label", "a", "canary=2"),
            ("remove", "b"),
            ("add", f"{HALF_PLUS_TWO}=b"),  # it is still mounted
            ("label", "a", "canary="),
            ("rollback", "a"),
        ):
            done = tfserve("models", name, *words)
            assert done.returncode == 0, done.stderr
        failed = tfserve("models", name, "add", broken)
        assert failed.returncode == 7, failed.stderr
        assert "of the model 'broken' cannot be loaded" in failed.stderr
    assert load.failures == []
    assert load.succeeded > 50
    expected: dict[str, dict[int, tuple[str, list[str]]]] = {
        "a": {2: ("END", []), 1: ("AVAILABLE", ["stable"])},
        "c": {7: ("AVAILABLE", [])},
        "b": {1: ("AVAILABLE", [])},
    }
    assert states(tfserve, name) == expected
    assert tfserve("restart", name).returncode == 0
    del expected["a"][2]
    assert states(tfserve, name) == expected
    (listed,) = [server for server in json.loads(tfserve("ps", "--json").stdout) if server["name"] == name]
    assert sorted(model["name"] for model in listed["models"]) == ["a", "b", "c"]


def test_a_model_name_that_is_used_again(tfserve: Tfserve, unique_name: Callable[[], str]) -> None:
    name = unique_name()
    options = ("--versions", "latest", "--engine", "docker", "--rest-port", "0", "--grpc-port", "0")
    ran = tfserve("run", HALF_PLUS_TWO, "--name", name, "--model-name", "m", *options)
    assert ran.returncode == 0, ran.stderr

    def models(*words: str | Path) -> None:
        done = tfserve("models", name, *words)
        assert done.returncode == 0, done.stderr

    def answer() -> Any:
        return json.loads(tfserve("predict", f"{name}/x", "1", "--json").stdout)

    models("add", f"{HALF_PLUS_N}=x")
    assert answer() == {"predictions": [3.5]}
    models("rollback", "x")
    assert answer() == {"predictions": [2.5]}
    models("remove", "x")
    models("add", f"{HALF_PLUS_TWO}=x")
    assert states(tfserve, name)["x"] == {1: ("AVAILABLE", [])}
    assert answer() == {"predictions": [2.5]}
    models("add", HALF_PLUS_N / "3")
    assert states(tfserve, name)["half_plus_n"] == {3: ("AVAILABLE", [])}


def test_a_users_own_config(tfserve: Tfserve, unique_name: Callable[[], str], tmp_path: Path) -> None:
    a = versions(tmp_path / "a", "1", "2")
    text = f'model_config_list {{ config {{ name: "m" base_path: "{a}" model_platform: "tensorflow" }} }}'
    (tmp_path / "models.config").write_text(text)
    ran = tfserve(
        *("run", "--config", "models.config", "--name", unique_name(), "--engine", "docker"),
        *("--rest-port", "0", "--grpc-port", "none", "--json"),
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["models"] == [{"name": "m", "versions": [{"version": 2, "state": "AVAILABLE"}]}]


def test_the_line_makes_the_same_container(
    tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient
) -> None:
    name = unique_name()
    rest, grpc = map(str, free_ports(2))
    ports = ("--rest-port", rest, "--grpc-port", grpc)
    arguments = ("run", HALF_PLUS_TWO, f"{HALF_PLUS_TWO}=b", "--name", name, "--engine", "docker", *ports)

    def container() -> dict[str, Any]:
        assert tfserve("models", name).stdout.count("AVAILABLE") == 2
        found: dict[str, Any] = docker_client.api.inspect_container(f"tfserve-{name}")
        assert tfserve("rm", "--force", name).returncode == 0
        return comparable(found)

    dry = tfserve(*arguments, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    pasted = subprocess.run(["bash", "-c", dry.stdout], capture_output=True, text=True, check=False)
    assert pasted.returncode == 0, pasted.stderr
    _wait_for(tfserve, name)
    by_hand = container()
    ran = tfserve(*arguments)
    assert ran.returncode == 0, ran.stderr
    assert container() == by_hand


def _wait_for(tfserve: Tfserve, name: str) -> None:

    eventually(lambda: json.loads(tfserve("status", name, "--json").stdout)["health"] == "available")

"""``tfserve doctor`` with a Docker Engine that answers, and with engines and registries that do not."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.nvidia.stub import Card, environment, real_gpu

from .bring_up import Engine
from .conftest import StartEngine, Tfserve


def checks(tfserve: Tfserve, **variables: str) -> dict[str, dict[str, Any]]:
    reported = tfserve("doctor", "--json", "--timeout", "20", env=variables)
    assert reported.returncode == 0, reported.stderr
    said = json.loads(reported.stdout)
    assert said["ok"] is True
    assert all(set(check) == {"name", "status", "detail", "hint"} for check in said["checks"])
    assert all(check["status"] in ("ok", "warn", "fail", "skip") for check in said["checks"])
    return {check["name"]: check for check in said["checks"]}


def test_an_engine_that_answers(engine: Engine, tfserve: Tfserve) -> None:
    seen = checks(tfserve)
    for name in ("docker", "docker-engine", "platform", "registry"):
        assert seen[name]["status"] == "ok", seen[name]
    assert engine.host in seen["docker-engine"]["detail"]
    assert "GiB free" in seen["disk"]["detail"]
    shown = tfserve("doctor").stdout
    assert f"ok    docker-engine             {seen['docker-engine']['detail']}" in shown.splitlines()
    assert "This machine can serve: on Docker" in shown


def test_an_engine_that_hangs_is_reported_in_time(tfserve: Tfserve, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "docker.sock"))
        silent.listen()
        begin = time.monotonic()
        reported = tfserve("doctor", "--timeout", "0.5", env={"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"})
    assert time.monotonic() - begin < 9  # the SDK would wait for ten seconds
    assert f"The Docker Engine at unix://{tmp_path}/docker.sock hangs: no answer within 0.5 s." in reported.stdout


def test_an_engine_elsewhere_that_hangs(tfserve: Tfserve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        reported = tfserve("doctor", "--timeout", "0.5", env={"DOCKER_HOST": where})
    assert f"The Docker Engine at {where} hangs" in reported.stdout
    assert "Check that the machine and its Docker Engine are running." in reported.stdout


def test_a_registry_that_hangs_is_reported_in_time(start_engine: StartEngine, tfserve: Tfserve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mirror = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        alone = start_engine({"registry-mirrors": [mirror]})
        reported = tfserve("doctor", "--timeout", "1.5", env={"DOCKER_HOST": alone.host})
    assert f"{mirror} does not respond: " in reported.stdout, reported.stdout


def test_the_registry_is_checked_without_the_proxies_of_this_process(engine: Engine, tfserve: Tfserve) -> None:
    if engine.mirror is None:
        pytest.skip("this test needs a registry, which only an engine that these tests started has")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    assert checks(tfserve, **nowhere, no_proxy="")["registry"]["status"] == "ok"


def test_a_registry_that_cannot_be_reached(start_engine: StartEngine, tfserve: Tfserve) -> None:
    alone = start_engine({"registry-mirrors": ["http://127.0.0.1:9/"]})
    seen = checks(tfserve, DOCKER_HOST=alone.host)  # the local engine can serve
    assert seen["registry"]["status"] == "fail"
    assert "http://127.0.0.1:9/ does not respond: Connection refused" in seen["registry"]["detail"]
    assert "docker load" in seen["registry"]["hint"]


@pytest.mark.skipif(real_gpu(), reason="the real GPUs would hide those of the stub")
def test_a_gpu_that_containers_cannot_use(nvml: Path, tfserve: Tfserve) -> None:
    seen = checks(tfserve, **environment(nvml, Card()))
    assert seen["nvidia-driver"]["status"] == "ok"
    assert "Driver 550.54.15, for CUDA up to 12.4" in seen["nvidia-driver"]["detail"]
    assert "GPU 0: NVIDIA A100-SXM4-80GB, 79.0 of 80.0 GiB free" in seen["nvml"]["detail"]
    assert seen["nvidia-container-toolkit"]["status"] == seen["nvidia-runtime"]["status"] == "warn"
    assert "nvidia-ctk runtime configure" in seen["nvidia-runtime"]["hint"]

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from tests.nvidia.stub import environment, real_gpu
from tests.program import Program, assert_error

NAMES = ["docker", "docker-config", "docker-engine", "disk", "platform", "proxy", "registry"]
NAMES += ["nvidia-driver", "nvml", "nvidia-container-toolkit", "nvidia-runtime"]
NAMES += ["ports", "local-engine", "state-directory", "sandbox"]


def test_local_engine_serves_without_docker(tfserve: Program) -> None:
    done = tfserve("doctor", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["ok"] is True
    assert [check["name"] for check in answer["checks"]] == NAMES
    checks = {check["name"]: check for check in answer["checks"]}
    assert checks["docker-engine"]["status"] == "fail"
    assert checks["docker-engine"]["detail"].startswith("No Docker Engine answers at unix://")
    assert "docs.docker.com" in checks["docker-engine"]["hint"]
    assert "tfserve doctor" not in checks["docker-engine"]["hint"]  # this is tfserve doctor
    assert checks["local-engine"] == {
        "name": "local-engine",
        "status": "ok",
        "detail": checks["local-engine"]["detail"],
        "hint": None,
    }
    assert checks["state-directory"]["detail"].startswith(str(tfserve.servers))


def test_text_output(tfserve: Program) -> None:
    done = tfserve("doctor")
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines if line[:4].strip() in ("ok", "warn", "fail", "skip")] == NAMES
    assert lines[-1] == "This machine can serve: as local processes."
    assert done.stderr == ""


def test_nothing_can_serve(tfserve: Program) -> None:
    tfserve.home.joinpath("file").write_text("")
    done = tfserve("doctor", XDG_STATE_HOME=str(tfserve.home / "file"))
    assert done.returncode == 4
    assert "cannot be written" in done.stdout
    assert "fail  state-directory" in done.stdout
    assert "Error: This machine cannot serve models yet.\nHint: Install one of the two:" in done.stderr
    assert "Docker, or without Docker: export XDG_STATE_HOME=DIRECTORY" in done.stderr
    assert "pip install" not in done.stderr  # the local engine is installed
    assert "To check the whole machine" not in done.stderr
    assert json.loads(tfserve("doctor", "--json", XDG_STATE_HOME=str(tfserve.home / "file")).stdout)["ok"] is False


def test_state_directory_without_permission(tfserve: Program) -> None:
    """Root can access every directory unless it drops its capabilities."""
    locked = tfserve.home / "locked"
    locked.mkdir(mode=0)
    command = tfserve.command(("doctor",))
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        assert setpriv, "util-linux is part of every Debian"
        command = [setpriv, "--bounding-set=-dac_override,-dac_read_search", *command]
    environment = {**tfserve.environment, "XDG_STATE_HOME": str(locked / "state")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert "ok    local-engine" in done.stdout
    assert f"{locked}/state/tfserve/servers cannot be accessed (Permission denied)." in done.stdout
    assert "Unexpected" not in done.stderr


@pytest.mark.parametrize("seconds", ["0", "nan", "inf", "-1"])
def test_invalid_timeout(seconds: str, tfserve: Program) -> None:
    assert_error(tfserve("doctor", f"--timeout={seconds}"), 2, "is not a number of seconds", "--timeout 5")


def test_reason_why_docker_does_not_respond(tfserve: Program) -> None:
    local = tfserve("doctor").stdout
    assert "No such file or directory" in local
    assert "Start Docker:" in local
    remote = tfserve("doctor", DOCKER_HOST="tcp://127.0.0.1:9").stdout
    assert "Connection refused" in remote
    assert "Check that the machine and its Docker Engine are running" in remote
    assert "Start Docker:" not in remote


@pytest.mark.skipif(real_gpu(), reason="the real driver would hide the stub library")
def test_driver_that_hangs(tfserve: Program, nvml: object) -> None:
    done = tfserve("doctor", "--timeout", "1.5", **environment(nvml, hang="1"))  # type: ignore[arg-type]
    assert done.returncode == 0
    assert "The NVIDIA driver hangs: NVML did not respond within 1.5 s." in done.stdout

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.doctor.healthy import GIB, HEALTHY, with_engine
from tfserve.doctor.docker import docker_checks, docker_serves
from tfserve.doctor.facts import Check, Facts, Registry
from tfserve.errors import EngineUnavailableError, Wording
from tfserve.plan.engine_facts import EngineFacts
from tfserve.spec.fields import option_names

NOT_RUNNING = EngineUnavailableError("No Docker Engine answers at unix:///x.", hint="Start it.")
REMOTE, ARM64 = EngineFacts(host="box"), EngineFacts(architecture="aarch64")
UNREACHABLE = Registry("https://registry-1.docker.io", "Connection refused")
PROXY = {"https_proxy": "http://me:secret@proxy:3128"}
EXEMPT = {**PROXY, "no_proxy": "localhost,127.0.0.1"}


def check(facts: Facts, name: str) -> Check:
    (found,) = [check for check in docker_checks(facts) if check.name == name]
    return found


def test_healthy_machine() -> None:
    names = ["docker", "docker-config", "docker-engine", "disk", "platform", "proxy", "registry"]
    assert [(check.name, check.status, check.hint) for check in docker_checks(HEALTHY)] == [
        (name, "ok", None) for name in names
    ]
    assert docker_serves(HEALTHY)


@pytest.mark.parametrize(
    ("facts", "name", "status", "detail", "hint", "serves"),
    [
        (replace(HEALTHY, docker_command=None), "docker", "ok", "docker command was not found, but", None, True),
        (
            replace(HEALTHY, docker_command=None, engine=NOT_RUNNING),
            "docker",
            "warn",
            "docker command was not found.",
            "https://docs.docker.com/engine/install/debian/",
            False,
        ),
        (
            replace(HEALTHY, config="/x", config_problems=("/x is not JSON.",)),
            "docker-config",
            "warn",
            "/x is not JSON.",
            "DOCKER_CONFIG",
            True,
        ),
        (replace(HEALTHY, engine=NOT_RUNNING), "docker-engine", "fail", "No Docker Engine answers", "Start it.", False),
        (replace(HEALTHY, engine=NOT_RUNNING), "disk", "skip", "does not respond", None, False),
        (with_engine(facts=EngineFacts(rootless=True)), "docker-engine", "ok", ", rootless", None, True),
        (with_engine(facts=REMOTE), "docker-engine", "ok", "28.2.2 on box", None, True),
        (with_engine(free=GIB // 2), "disk", "fail", "0.5 GiB free", "docker system prune", False),
        (
            with_engine(free=GIB // 2, images=("tensorflow/serving:latest",)),
            "disk",
            "warn",
            "already pulled: tensorflow/serving:latest",
            "docker system prune",
            True,
        ),
        (with_engine(free=3 * GIB), "disk", "warn", "image with CUDA needs about 8", "docker system prune", True),
        (with_engine(free=None), "disk", "skip", "is not on this machine", None, True),
        (replace(HEALTHY, avx=False), "platform", "warn", "does not support AVX", "--engine local", True),
        (with_engine(facts=ARM64), "platform", "warn", "linux/arm64, for which", "--install amd64", False),
        (
            replace(with_engine(facts=ARM64), emulates=True),
            "platform",
            "warn",
            "linux/amd64 is emulated",
            "--platform linux/amd64",
            True,
        ),
        (
            replace(HEALTHY, proxies=PROXY),
            "proxy",
            "warn",
            "Proxy proxy:3128 also applies to this machine",
            "NO_PROXY",
            True,
        ),
        (replace(HEALTHY, proxies=EXEMPT), "proxy", "warn", "not for the Docker Engine", "daemon/proxy", True),
        (replace(with_engine(proxy="proxy:3128"), proxies=EXEMPT), "proxy", "ok", "Proxy proxy:3128", None, True),
        (with_engine(proxy="proxy:3128"), "proxy", "ok", "The engine uses", None, True),
        (replace(HEALTHY, registry=UNREACHABLE), "registry", "fail", "Connection refused", "docker load", False),
        (
            replace(with_engine(images=("tensorflow/serving:latest",)), registry=UNREACHABLE),
            "registry",
            "warn",
            "Connection refused",
            "docker load",
            True,
        ),
        (
            replace(with_engine(facts=REMOTE), registry=None),
            "registry",
            "skip",
            "box pulls images over its own network",
            None,
            True,
        ),
    ],
)
def test_problems(facts: Facts, name: str, status: str, detail: str, hint: str | None, serves: bool) -> None:
    found = check(facts, name)
    assert found.status == status
    assert detail in str(found.detail)
    assert (found.hint is None) is (hint is None)
    assert hint is None or hint in (found.hint(option_names) if isinstance(found.hint, Wording) else str(found.hint))
    assert docker_serves(facts) is serves


def test_passwords_are_not_shown() -> None:
    assert all("secret" not in str(check.detail) for check in docker_checks(replace(HEALTHY, proxies=PROXY)))

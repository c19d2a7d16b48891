"""An engine on arm64, for which no official image exists: the local engine, or an emulator, is used instead."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.program import assert_error

from . import relay
from .bring_up import Engine
from .conftest import StartEngine, Tfserve

HALF_PLUS_TWO = Path(__file__).parents[2] / "examples" / "half_plus_two"
PORTS = ("--rest-port", "0", "--grpc-port", "0")
EMULATED = "linux/amd64 is emulated on this engine, which is linux/arm64: expect it to be slow."


@pytest.fixture(scope="module")
def arm64(start_engine: StartEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables of a `tfserve` whose engine reports arm64 and has no image."""
    with relay.with_architecture("aarch64", start_engine().host, tmp_path_factory.mktemp("relay")) as host:
        yield {"DOCKER_HOST": host}


def test_auto_serves_without_docker(arm64: dict[str, str], tfserve: Tfserve) -> None:
    ran = tfserve("run", HALF_PLUS_TWO, "--json", *PORTS, env=arm64)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["engine"] == "local"
    assert "tensorflow/serving:latest is not available for linux/arm64." in ran.stderr
    assert "Serving with the local engine instead." in ran.stderr


@pytest.mark.parametrize("arguments", [("run", HALF_PLUS_TWO, "--engine", "docker"), ("pull",)])
def test_docker_is_refused_with_alternatives(
    arguments: tuple[str | Path, ...], arm64: dict[str, str], tfserve: Tfserve
) -> None:
    ran = tfserve(*arguments, env=arm64)
    assert ran.returncode == 5, ran.stderr
    assert "for linux/arm64" in ran.stderr
    assert "--platform linux/amd64" in ran.stderr
    assert ("--engine local" in ran.stderr) is ("--engine" in arguments)  # pull has no such option


def test_an_emulated_platform_is_served_with_a_warning(
    engine: Engine, tfserve: Tfserve, unique_name: Callable[[], str], tmp_path: Path
) -> None:
    options = ("--name", unique_name(), "--platform", "linux/amd64", *PORTS)
    with relay.with_architecture("aarch64", engine.host, tmp_path) as host:
        ran = tfserve("run", HALF_PLUS_TWO, *options, env={"DOCKER_HOST": host})
    assert ran.returncode == 0, ran.stderr
    assert EMULATED in ran.stderr


def test_a_program_for_another_cpu_is_explained(
    tfserve: Tfserve, docker_client: Any, unique_name: Callable[[], str], tmp_path: Path
) -> None:
    """An image for arm64 on an engine without an emulator. Its program is not valid on any CPU."""
    reference = f"tfserve-test/{unique_name().lower()}"
    program = tmp_path / "server"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o755)
    (tmp_path / "Dockerfile").write_text(
        'FROM scratch\nCOPY server /server\nCOPY server /bin/sh\nENTRYPOINT ["/server"]\n'
    )
    docker_client.images.build(path=str(tmp_path), tag=f"{reference}:latest", platform="linux/arm64", rm=True)
    name = unique_name()
    options = ("--image", reference, "--pull", "never", "--platform", "linux/arm64")
    try:
        ran = tfserve("run", HALF_PLUS_TWO, "--name", name, *options, *PORTS)
        assert ran.returncode == 7, ran.stderr
        assert "linux/arm64 is emulated on this engine, which is linux/amd64" in ran.stderr
        assert "exec format error" in ran.stderr
        assert "tonistiigi/binfmt" in ran.stderr
        assert not docker_client.api.containers(all=True, filters={"name": name})
    finally:
        docker_client.images.remove(f"{reference}:latest", force=True)


@pytest.mark.parametrize("pull", ["missing", "never"])
def test_an_image_that_exists_for_another_platform(
    pull: str, tfserve: Tfserve, docker_client: Any, unique_name: Callable[[], str]
) -> None:
    repository = f"127.0.0.1:9/{unique_name()}"  # no registry answers there
    docker_client.images.get("tensorflow/serving:latest").tag(repository, "1")
    options = ("--image", f"{repository}:1", "--platform", "linux/arm64", "--pull", pull)
    ran = tfserve("run", HALF_PLUS_TWO, *options, *PORTS)
    assert_error(ran, 5, f"{repository}:1 is on the engine for linux/amd64: to use that, leave --platform out.")


def test_doctor_reports_the_platform(arm64: dict[str, str], tfserve: Tfserve) -> None:
    report = tfserve("doctor", "--json", env=arm64)
    assert report.returncode == 0, report.stderr
    checks = {check["name"]: check for check in json.loads(report.stdout)["checks"]}
    assert checks["platform"]["status"] == "warn"
    assert "linux/arm64, for which TensorFlow does not publish images" in checks["platform"]["detail"]
    assert "--engine local" in checks["platform"]["hint"]

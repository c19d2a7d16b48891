"""Servers that fail: ``run`` exits with code 7, reports the cause and the log, and leaves nothing behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from .conftest import Tfserve

HALF_PLUS_TWO = Path(__file__).parents[2] / "examples" / "half_plus_two"
PORTS = ("--rest-port", "0", "--grpc-port", "0")


@pytest.fixture
def image_that(docker_client: DockerClient, unique_name: Callable[[], str]) -> Iterator[Callable[..., str]]:
    """Makes images from the serving image that fail in a given way."""
    made: list[str] = []

    def make(command: str, prepare: str = "true") -> str:
        reference = f"tfserve-test/{unique_name().lower()}:latest"
        container = docker_client.containers.run(
            "tensorflow/serving", ["-c", prepare], entrypoint="/bin/sh", detach=True, name=unique_name()
        )
        container.wait()
        repository, _, tag = reference.partition(":")
        container.commit(repository, tag, changes=f'ENTRYPOINT ["/bin/sh", "-c", "{command}"]')
        container.remove()
        made.append(reference)
        return reference

    yield make
    for reference in made:
        docker_client.images.remove(reference, force=True)


@pytest.mark.parametrize(
    ("command", "cause"),
    [
        ("kill -ILL $$", "illegal instruction"),
        ("kill -KILL $$", "137"),
        ("/broken", "exec format error"),
        ("echo a last line >&2; exit 3", "a last line"),
    ],
)
def test_a_server_that_dies_is_explained(
    command: str,
    cause: str,
    image_that: Callable[..., str],
    tfserve: Tfserve,
    unique_name: Callable[[], str],
    docker_client: DockerClient,
) -> None:
    image = image_that(command, prepare="printf '\\177ELF nonsense' > /broken; chmod +x /broken")
    name = unique_name()
    ran = tfserve("run", HALF_PLUS_TWO, "--name", name, "--image", image, "--pull", "never", *PORTS)
    assert ran.returncode == 7, ran.stderr
    assert cause in ran.stderr
    assert "Hint:" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not docker_client.api.containers(all=True, filters={"name": name})


def test_running_out_of_memory_is_explained(
    tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient
) -> None:
    name = unique_name()
    ran = tfserve("run", HALF_PLUS_TWO, "--name", name, "--memory", "24m", *PORTS)
    assert ran.returncode == 7, ran.stderr
    assert "because memory ran out" in ran.stderr
    assert "--memory" in ran.stderr
    assert not docker_client.api.containers(all=True, filters={"name": name})


def test_a_model_that_cannot_be_loaded(
    tmp_path: Path, tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient
) -> None:
    model = tmp_path / "broken"
    shutil.copytree(HALF_PLUS_TWO, model)
    (model / "1" / "variables" / "variables.index").write_bytes(b"")
    name = unique_name()
    ran = tfserve("run", model, "--name", name, *PORTS)
    assert ran.returncode == 7, ran.stderr
    assert f"Version 1 of the model '{name}' cannot be loaded" in ran.stderr
    assert "SavedModel load for tags { serve }; Status: fail" in ran.stderr  # the end of the server's log
    assert not docker_client.api.containers(all=True, filters={"name": name})


def test_an_operation_that_needs_a_gpu_is_explained(
    tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient
) -> None:
    model = HALF_PLUS_TWO.with_name("half_plus_two_gpu")
    for engine in ("docker", "local"):
        name = unique_name()
        ran = tfserve("run", model, "--name", name, "--engine", engine, "--no-gpu", *PORTS)
        assert ran.returncode == 7, ran.stderr
        assert "The model needs a GPU" in ran.stderr
        assert "--gpu" in ran.stderr
        assert ran.stderr.rstrip().endswith("tfserve doctor")
        assert not docker_client.api.containers(all=True, filters={"name": name})


def test_keep_failed_keeps_the_server(tmp_path: Path, tfserve: Tfserve, unique_name: Callable[[], str]) -> None:
    model = tmp_path / "broken"
    shutil.copytree(HALF_PLUS_TWO, model)
    (model / "1" / "variables" / "variables.index").write_bytes(b"")
    name = unique_name()
    assert tfserve("run", model, "--name", name, *PORTS, "--keep-failed").returncode == 7
    assert "failed" in tfserve("status", name, "--json").stdout
    assert "Status: fail" in tfserve("logs", name).stdout


def test_a_server_that_never_becomes_ready(
    image_that: Callable[..., str], tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient
) -> None:
    image = image_that("echo thinking >&2; sleep 600")
    name = unique_name()
    ran = tfserve("run", HALF_PLUS_TWO, "--name", name, "--image", image, "--pull", "never", "--wait", "1.5", *PORTS)
    assert ran.returncode == 7
    assert "not ready after 1.5 s" in ran.stderr
    assert "thinking" in ran.stderr
    assert not docker_client.api.containers(all=True, filters={"name": name})


def test_a_failed_smoke_test_removes_the_server(
    tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient
) -> None:
    name = unique_name()
    request = '{"instances": ["not a number"]}'
    ran = tfserve("run", HALF_PLUS_TWO, "--name", name, "--smoke-test", request, *PORTS)
    assert ran.returncode == 7, ran.stderr
    assert "smoke test" in ran.stderr
    assert not docker_client.api.containers(all=True, filters={"name": name})


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--image", "tfserve-test/there-is-no-such-image"), 5, "tfserve-test/there-is-no-such-image"),
        (("--tag", "no-such-tag-1.2.3"), 5, "no-such-tag-1.2.3"),
        (("--image", "Not A Name"), 2, "not the name of an image"),
        (("--image", "tensorflow/serving:2.19.1", "--tag", "latest"), 2, "--tag"),
        (("--platform", "nonsense"), 2, "not a platform"),
        (("--", "--enable_batchin=true"), 2, "Did you mean --enable_batching?"),
        (("--restart", "sometimes"), 2, "not a restart policy"),
        (("--rm", "--restart", "always"), 2, "cannot be combined"),
        (("--gpus", "GPU-absent"), 9, "GPU"),
    ],
)
def test_bad_options_are_explained(
    arguments: tuple[str, ...],
    code: int,
    words: str,
    tfserve: Tfserve,
    unique_name: Callable[[], str],
    docker_client: DockerClient,
) -> None:
    name = unique_name()
    ran = tfserve("run", HALF_PLUS_TWO, "--name", name, "--engine", "docker", *PORTS, *arguments)
    assert ran.returncode == code, ran.stderr
    assert words in ran.stderr
    assert "Hint:" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not docker_client.api.containers(all=True, filters={"name": name})


def test_an_engine_that_does_not_answer(tfserve: Tfserve, tmp_path: Path) -> None:
    environment: dict[str, Any] = {"DOCKER_HOST": f"unix://{tmp_path}/no.sock"}
    for arguments in (("run", HALF_PLUS_TWO, "--engine", "docker"), ("pull",), ("ps", "--engine", "docker")):
        ran = tfserve(*arguments, env=environment)
        assert ran.returncode == 4, ran.stderr
        assert "Hint:" in ran.stderr


def test_a_bucket_that_the_server_cannot_read(
    tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient
) -> None:
    name, keys = unique_name(), {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s3cret"}
    ran = tfserve("run", "s3://bucket/models/m", "--name", name, *PORTS, "--keep-failed", env=keys)
    assert ran.returncode == 7, ran.stderr
    assert "File system scheme 's3' not implemented (file: 's3://bucket/models/m')" in ran.stderr
    assert "built without that file system" in ran.stderr
    found = docker_client.api.inspect_container(f"tfserve-{name}")
    assert {f"{key}={value}" for key, value in keys.items()} < set(found["Config"]["Env"])
    assert found["Mounts"] == []
    elsewhere = f"{found['Config']['Labels']}{found['Config']['Cmd']}{tfserve('logs', name).stdout}{ran.stderr}"
    assert "s3://bucket/models/m" in elsewhere
    assert "s3cret" not in elsewhere

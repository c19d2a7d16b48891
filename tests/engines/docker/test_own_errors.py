"""An error of tfserve's own work is not reported as an answer of the engine that tfserve does not understand."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.plan.test_launch_plan import container as planned
from tfserve.engines.docker.client import UnexpectedAnswerError, connect
from tfserve.engines.docker.engine import DockerEngine
from tfserve.engines.docker.pull import pull_image
from tfserve.engines.docker.server import DockerServer
from tfserve.engines.docker.translate import server_fields
from tfserve.images.build_context import BuildContext
from tfserve.images.build_spec import BuildStep
from tfserve.images.commit import ImagePlan, make_image
from tfserve.images.docker_build import build_image
from tfserve.images.push import push_image
from tfserve.spec.image import ImageReference

from .hostile_engine import CONTAINER, Answers, container, engine, http

REFERENCE = ImageReference("local", "1")


class OwnError(LookupError, ValueError):
    """An error that would also arise from an answer of the wrong form."""


def fail(*arguments: Any, **options: Any) -> NoReturn:
    raise OwnError("own work")


@pytest.fixture
def mounts() -> list[dict[str, Any]]:
    """What the engine says is mounted into the container."""
    return []


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounts: list[dict[str, Any]]) -> Iterator[DockerEngine]:
    connect.cache_clear()
    layer = json.dumps({"status": "Downloading", "id": "layer"}).encode()
    answers: Answers = {
        "/containers/create": {"Id": CONTAINER},
        f"/containers/{CONTAINER}/json": {"Mounts": mounts, "Config": {"Labels": {}}},
        f"/containers/{CONTAINER}/archive": http(b""),
        "/images/create": http(layer),
        "/images/local/push": http(layer),
    }
    with engine(tmp_path, answers) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        yield DockerEngine(connect())
    connect.cache_clear()


@pytest.fixture
def server(docker: DockerEngine) -> DockerServer:
    return DockerServer(engine=docker, **server_fields(container(config="/models.config")))


def make(docker: DockerEngine, archive: Iterator[bytes], late_labels: Callable[[], Mapping[str, str]]) -> None:
    make_image(docker.client, ImagePlan(REFERENCE, "base", None, {}, (), (), {}, False), archive, late_labels)


def test_launch(docker: DockerEngine) -> None:
    with pytest.raises(ValueError, match="'many'"):
        docker.launch(dataclasses.replace(planned(), gpus="many"))
    with pytest.raises(UnicodeEncodeError):
        docker.launch(dataclasses.replace(planned(), files={"/models.config": "\ud800"}))


def test_files(server: DockerServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tfserve.engines.docker.files import copy_directory

    with pytest.raises(UnicodeEncodeError):
        server.save_models_config("\ud800", [])
    monkeypatch.setattr("tfserve.engines.docker.files.walk", fail)
    with pytest.raises(OwnError):
        copy_directory(server.client, CONTAINER, tmp_path, "/models/m")


def test_versions(
    server: DockerServer, mounts: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "3").mkdir()
    mounts.append({"Destination": "/models/m", "Source": str(tmp_path)})
    assert server.versions("/models/m") == (3,)
    monkeypatch.setattr("tfserve.models.saved_model.version_numbers", fail)
    with pytest.raises(OwnError):
        server.versions("/models/m")
    for source in ("/a\0b", "\ud800", 5, None, ["/"]):
        mounts[0]["Source"] = source
        with pytest.raises(UnexpectedAnswerError):
            server.versions("/models/m")


def test_pull_and_push(docker: DockerEngine) -> None:
    with pytest.raises(OwnError):
        pull_image(docker.client, REFERENCE, on_progress=fail)
    with pytest.raises(OwnError):
        push_image(docker.client, REFERENCE, on_progress=fail)


def test_make_image(docker: DockerEngine) -> None:
    with pytest.raises(OwnError):
        make(docker, map(fail, [b""]), dict)
    with pytest.raises(OwnError):
        make(docker, iter(()), fail)


def test_build(docker: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BuildContext, "pack", fail)
    with pytest.raises(OwnError):
        build_image(docker.client, tmp_path, BuildStep("Dockerfile", REFERENCE, {}, pull=False, kind="devel"), fail)

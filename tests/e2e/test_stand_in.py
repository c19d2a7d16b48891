"""The assumptions of the other tests: `tensorflow/serving` can be pulled, is as documented, and serves."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .bring_up import Engine
from .dockerd import Dockerd

MODEL = Path(__file__).resolve().parents[2] / "examples" / "half_plus_two"
BODY = json.dumps({"instances": [1.0, 2.0, 5.0]}).encode()


def predict(container: Any, seconds: float = 60) -> list[float]:
    """Sends a request to the model as soon as the published port answers."""
    container.reload()
    port = container.ports["8501/tcp"][0]["HostPort"]
    deadline = time.monotonic() + seconds
    while (answer := _predict(f"http://127.0.0.1:{port}/v1/models/half_plus_two:predict")) is None:
        if time.monotonic() > deadline:
            pytest.fail(f"no answer after {seconds} s; its log: {container.logs().decode()}")
        time.sleep(0.05)
    return answer


def _predict(url: str) -> list[float] | None:
    try:
        with urllib.request.urlopen(url, BODY, timeout=5) as response:
            return list(json.load(response)["predictions"])
    except OSError:
        return None


def serve(client: Any, name: str, **options: Any) -> Any:
    return client.containers.run(
        "tensorflow/serving",
        name=name,
        detach=True,
        ports={"8501/tcp": ("127.0.0.1", None)},
        volumes={str(MODEL): {"bind": "/models/half_plus_two", "mode": "ro"}},
        environment={"MODEL_NAME": "half_plus_two"},
        **options,
    )


def test_a_pull_shows_every_layer(throwaway_engine: Dockerd) -> None:
    import docker

    client = docker.DockerClient(base_url=throwaway_engine.host)
    lines = list(client.api.pull("tensorflow/serving", tag="latest", stream=True, decode=True))
    complete = {line["id"] for line in lines if line.get("status") == "Pull complete"}
    assert len(complete) >= 4
    assert any(line.get("progressDetail", {}).get("total", 0) > 100_000_000 for line in lines)
    assert client.images.get("tensorflow/serving:latest").tags == ["tensorflow/serving:latest"]
    client.close()


@pytest.mark.parametrize("tag", ["latest", "latest-gpu", "2.19.1", "2.19.1-gpu"])
def test_serving_images(engine: Engine, docker_client: Any, tag: str) -> None:
    if not engine.own and tag != "latest":
        pytest.skip("the other official images have many gigabytes")
    config = docker_client.images.pull("tensorflow/serving", tag=tag).attrs["Config"]
    assert config["Entrypoint"] == ["/usr/bin/tf_serving_entrypoint.sh"]
    assert {"MODEL_NAME=model", "MODEL_BASE_PATH=/models"} <= set(config["Env"])
    assert {"8500/tcp", "8501/tcp"} <= set(config["ExposedPorts"])
    assert config["User"] in ("", "root", "0")


@pytest.mark.parametrize("tag", ["latest-devel", "latest-devel-gpu", "2.19.1-devel", "2.19.1-devel-gpu"])
def test_development_images(engine: Engine, docker_client: Any, unique_name: Callable[..., str], tag: str) -> None:
    if not engine.own:
        pytest.skip("the official development images have many gigabytes")
    docker_client.images.pull("tensorflow/serving", tag=tag)
    config = docker_client.images.get(f"tensorflow/serving:{tag}").attrs["Config"]
    assert (config["Entrypoint"], config["Cmd"]) == (None, ["/bin/bash"])
    command = ["sh", "-c", "command -v tensorflow_model_server && pwd"]
    output = docker_client.containers.run(f"tensorflow/serving:{tag}", command, name=unique_name(), remove=True)
    assert output.decode().split()[1] == "/tensorflow-serving"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"user": "1234:1234", "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], "init": True},
        {"user": "1234:1234", "cap_drop": ["ALL"], "read_only": True},
    ],
    ids=["default options", "options of tfserve", "read-only root"],
)
def test_it_serves(docker_client: Any, unique_name: Callable[..., str], options: dict[str, Any]) -> None:
    container = serve(docker_client, unique_name("half_plus_two"), **options)
    assert predict(container) == [2.5, 3.0, 4.5]
    container.remove(force=True)


def test_two_engines_serve_side_by_side(
    docker_client: Any, throwaway_engine: Dockerd, unique_name: Callable[..., str]
) -> None:
    import docker

    other_client = docker.DockerClient(base_url=throwaway_engine.host)
    other_client.images.pull("tensorflow/serving", tag="latest")
    first = serve(docker_client, unique_name("first"))
    second = serve(other_client, unique_name("second"))
    assert predict(first) == predict(second) == [2.5, 3.0, 4.5]
    throwaway_engine.kill()
    assert predict(first) == [2.5, 3.0, 4.5]
    first.remove(force=True)
    other_client.close()

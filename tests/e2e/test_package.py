"""``tfserve package`` on a real engine: the image, whether it serves, and that nothing is left behind."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
from docker import DockerClient

from tests.program import Copy, assert_error, eventually

from .conftest import PrivateRegistry, Tfserve
from .dockerd import Dockerd
from .terminal import Terminal

HALF_PLUS_TWO = Path(__file__).parents[2] / "examples" / "half_plus_two"
PORTS = ("--rest-port", "0", "--grpc-port", "0")

Name = Callable[..., str]


@pytest.fixture
def big(copied: Copy) -> Path:
    """A model that takes half a second to copy, and as long to commit."""
    model = copied("big")
    with (model / "1" / "assets.bin").open("wb") as file:
        file.truncate(150 * 2**20)
    return model


def package(tfserve: Tfserve, *arguments: str | Path) -> dict[str, Any]:
    done = tfserve("package", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def containers_labeled(client: DockerClient, value: str) -> list[Any]:
    return list(client.api.containers(all=True, filters={"label": f"test={value}"}))


def images_labeled(client: DockerClient, value: str) -> list[Any]:
    return list(client.images.list(all=True, filters={"label": f"test={value}"}))


def answers(url: str) -> bool:
    with suppress(requests.RequestException):
        requests.get(url, timeout=5)
        return True
    return False


@contextmanager
def docker_run(client: DockerClient, image: str, *command: str) -> Iterator[str]:
    """Runs ``docker run -d -p 127.0.0.1::8501 IMAGE COMMAND``, and gives its URL once it answers."""
    container = client.containers.run(image, list(command) or None, detach=True, ports={8501: ("127.0.0.1", None)})
    try:
        container.reload()
        url = f"http://127.0.0.1:{container.ports['8501/tcp'][0]['HostPort']}/v1/models"
        eventually(lambda: answers(url), seconds=30)
        yield url
    finally:
        container.remove(force=True)


def predict(url: str, model: str) -> object:
    return requests.post(f"{url}/{model}:predict", json={"instances": [1.0, 2.0, 5.0]}, timeout=10).json()


def test_an_image_with_one_model(tfserve: Tfserve, unique_name: Name, docker_client: DockerClient) -> None:
    image = f"{unique_name('image')}:1"
    document = package(tfserve, HALF_PLUS_TWO, "--image", image, "--label", "team=a b=c'\"$HOME", "--label", "empty=")
    found = docker_client.images.get(image)
    base = docker_client.images.get("tensorflow/serving:latest")
    digest = document["models"][0]["digest"]
    assert document == {
        "image": image,
        "id": found.id,
        "digest": None,
        "size": found.attrs["Size"],
        "platform": f"linux/{found.attrs['Architecture']}",
        "base": "tensorflow/serving:latest",
        "models": [{"name": "half_plus_two", "versions": [1], "digest": digest}],
    }
    assert found.labels["team"] == "a b=c'\"$HOME"
    assert found.labels["empty"] == ""
    assert found.labels["org.opencontainers.image.title"] == "half_plus_two"
    assert found.labels["org.opencontainers.image.base.name"] == "docker.io/tensorflow/serving:latest"
    base_digests = [name.partition("@")[2] for name in base.attrs["RepoDigests"]]
    assert found.labels["org.opencontainers.image.base.digest"] in base_digests
    assert json.loads(found.labels["tfserve.packaged"]) == {"half_plus_two": {"versions": [1], "digest": digest}}
    assert found.attrs["RootFS"]["Layers"][:-1] == base.attrs["RootFS"]["Layers"]
    assert "MODEL_NAME=half_plus_two" in found.attrs["Config"]["Env"]
    assert found.attrs["Config"]["Entrypoint"] == base.attrs["Config"]["Entrypoint"]
    assert set(found.attrs["Config"]["ExposedPorts"]) >= {"8500/tcp", "8501/tcp"}
    assert not docker_client.containers.list(all=True, filters={"ancestor": image})
    with docker_run(docker_client, image) as url:
        assert predict(url, "half_plus_two") == {"predictions": [2.5, 3.0, 4.5]}


def test_an_image_with_several_models(tfserve: Tfserve, unique_name: Name, docker_client: DockerClient) -> None:
    image = unique_name("image")
    names = ("--name", "first", "--name", "sec.ond")
    package(tfserve, HALF_PLUS_TWO, HALF_PLUS_TWO / "1", *names, "--image", image)
    with docker_run(docker_client, image, "--enable_batching=true") as url:  # flags are added to those of the image
        assert predict(url, "first") == predict(url, "sec.ond") == {"predictions": [2.5, 3.0, 4.5]}
    another = tfserve("run", HALF_PLUS_TWO, "--image", image, *PORTS)
    assert_error(another, 2, "contains models and always serves them: first, sec.ond", "Leave MODEL_DIR out")


def test_the_same_model_gives_the_same_layer(
    tfserve: Tfserve, unique_name: Name, docker_client: DockerClient, copied: Copy
) -> None:
    other = copied("half_plus_two")
    for path in [other, *other.rglob("*")]:
        path.chmod(0o700)
        os.utime(path, (1, 1))
    layers = []
    for model in (HALF_PLUS_TWO, other):
        image = package(tfserve, model, "--image", unique_name("image"))["image"]
        layers.append(docker_client.images.get(image).attrs["RootFS"]["Layers"][-1])
    assert layers[0] == layers[1]


def test_run_needs_no_model_for_it(
    tfserve: Tfserve, unique_name: Name, docker_client: DockerClient, copied: Copy
) -> None:
    private = copied("m")
    for path in [private, *private.rglob("*")]:
        path.chmod(0o700)
    image = f"{unique_name('image')}:1"
    package(tfserve, private, "--image", image)
    shutil.rmtree(private)
    name = image.partition(":")[0]
    ran = tfserve("run", "--image", image, *PORTS, "--json")
    assert ran.returncode == 0, ran.stderr
    server = json.loads(ran.stdout)
    assert (server["name"], server["image"], server["health"]) == (name, image, "available")
    assert server["models"] == [{"name": "m", "versions": [{"version": 1, "state": "AVAILABLE"}]}]
    assert server["smoke_test"]["response"] == {"outputs": [2.0]}
    assert json.loads(tfserve("predict", name, "1", "2", "5", "--json").stdout) == {"predictions": [2.5, 3.0, 4.5]}
    assert_error(tfserve("run", "--image", image, *PORTS), 6, "is taken by another server")
    again = tfserve("run", "--image", image, *PORTS, "--replace", "--no-smoke-test", "--", "--enable_batching=true")
    assert again.returncode == 0, again.stderr
    container = docker_client.containers.get(f"tfserve-{name}")
    assert container.attrs["Config"]["Cmd"] == ["--enable_batching=true"]
    assert container.attrs["HostConfig"]["CapDrop"] == ["ALL"]
    assert container.attrs["Mounts"] == []
    line = tfserve("run", "--image", image, "--dry-run").stdout
    assert line.endswith(f" {image}\n")
    assert "MODEL_NAME" not in line
    assert tfserve("rm", "--force", name).returncode == 0


def test_run_of_an_image_made_as_in_the_guide(tfserve: Tfserve, unique_name: Name, docker_client: DockerClient) -> None:
    image = unique_name("committed")
    container = docker_client.containers.create("tensorflow/serving:latest", labels={"test": image})
    try:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.add(HALF_PLUS_TWO, "hpt")
        container.put_archive("/models", buffer.getvalue())
        container.commit(image, "1", changes="ENV MODEL_NAME hpt")
    finally:
        container.remove()
    ran = tfserve("run", "--image", f"{image}:1", *PORTS, "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["models"] == [{"name": "hpt", "versions": [{"version": 1, "state": "AVAILABLE"}]}]
    (listed,) = json.loads(tfserve("images", image, "--json").stdout)
    assert (listed["kind"], listed["models"]) == ("packaged", ["hpt"])
    assert tfserve("rm", "--force", image).returncode == 0


def test_run_of_an_image_without_a_model(tfserve: Tfserve, unique_name: Name) -> None:
    assert_error(tfserve("run", "--image", "tensorflow/serving"), 2, "does not declare a model inside")
    absent = unique_name("absent")
    unknown = tfserve("run", "--image", absent, "--dry-run")
    assert_error(unknown, 5, f"Image {absent}:latest is not on this engine", "tfserve pull")
    assert_error(
        tfserve("run", "--image", "tensorflow/serving", "--engine", "local"),
        2,
        "--image can only be used with containers",
    )


def test_a_name_that_is_taken(tfserve: Tfserve, unique_name: Name, docker_client: DockerClient, copied: Copy) -> None:
    image = f"{unique_name('image')}:1"
    first = package(tfserve, HALF_PLUS_TWO, "--image", image)["id"]
    refused = tfserve("package", HALF_PLUS_TWO, "--image", image)
    assert_error(refused, 6, f"The name {image} is already taken", "--force")
    assert docker_client.images.get(image).id == first
    second = package(tfserve, copied("m"), "--image", image, "--force")["id"]
    assert docker_client.images.get(image).id == second != first
    with pytest.raises(docker.errors.ImageNotFound):  # not even as <none>
        docker_client.images.get(first)


def test_a_name_that_is_taken_meanwhile(
    big: Path, tfserve: Tfserve, unique_name: Name, docker_client: DockerClient
) -> None:
    label, image = unique_name(), unique_name("image")
    process = tfserve.start("package", big, "--image", f"{image}:1", "--label", f"test={label}")
    eventually(lambda: containers_labeled(docker_client, label))
    other = docker_client.images.get("tensorflow/serving:latest")
    other.tag(image, "1")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 6, errors
    assert f"The name {image}:1 is already taken" in errors
    named = docker_client.images.get(f"{image}:1").id
    docker_client.images.remove(f"{image}:1")  # only this name, as the official one is kept
    assert named == other.id
    assert (containers_labeled(docker_client, label), images_labeled(docker_client, label)) == ([], [])


def test_a_replaced_image_is_removed_with_its_last_server(
    tfserve: Tfserve, unique_name: Name, docker_client: DockerClient, copied: Copy
) -> None:
    image = f"{unique_name('image')}:1"
    name = image.partition(":")[0]
    first = package(tfserve, HALF_PLUS_TWO, "--image", image)["id"]
    assert tfserve("run", "--image", image, *PORTS).returncode == 0
    second = package(tfserve, copied("m"), "--image", image, "--force")["id"]
    assert docker_client.images.get(first).tags == []
    assert tfserve("rm", "--force", name).returncode == 0
    with pytest.raises(docker.errors.ImageNotFound):
        docker_client.images.get(first)
    assert tfserve("run", "--image", image, *PORTS).returncode == 0
    assert tfserve("rm", "--force", name).returncode == 0
    assert docker_client.images.get(image).id == second


def test_progress_takes_one_row(big: Path, tfserve: Tfserve, unique_name: Name) -> None:
    image = unique_name("an-image-whose-name-is-longer-than-a-terminal-of-80-columns-has-room-for")
    terminal = Terminal(tfserve, "package", str(big), "--image", image)
    terminal.wait_for("157.3/157.3")
    assert terminal.wait_for("MB") == " "
    assert terminal.process.wait(timeout=60) == 0
    terminal.close()


def test_images_that_are_not_valid_bases(tfserve: Tfserve, unique_name: Name, docker_client: DockerClient) -> None:
    packaged, bare = unique_name("packaged"), unique_name("bare")
    package(tfserve, HALF_PLUS_TWO, "--image", packaged)
    docker_client.api.import_image_from_data(_tar_of({"models/x": b""}), repository=bare, tag="latest")
    target = unique_name("image")
    on_packaged = tfserve("package", HALF_PLUS_TWO, "--image", target, "--base", packaged)
    assert_error(on_packaged, 2, "already has models inside: half_plus_two")
    assert_error(tfserve("package", HALF_PLUS_TWO, "--image", target, "--base", bare), 2, "is not a serving image")
    assert_error(tfserve("package", HALF_PLUS_TWO, "--image", target, "--base", "127.0.0.1:9/no/base"), 5)


def test_pushes_and_reports_a_refusal_of_the_registry(
    tfserve: Tfserve, unique_name: Name, docker_client: DockerClient, private_registry: PrivateRegistry
) -> None:
    label = unique_name()
    image = f"{private_registry.host}/{label}:1"
    base = _small_base(docker_client, unique_name)
    arguments = ("package", HALF_PLUS_TWO, "--base", base, "--label", f"test={label}", "--push", "--image")
    refused = tfserve(*arguments, image)
    assert_error(refused, 5, "refused", "The image is still on the engine", f"docker login {private_registry.host}")
    assert [found.tags for found in images_labeled(docker_client, label)] == [[image]]
    assert not containers_labeled(docker_client, label)
    credentials = {"DOCKER_CONFIG": str(private_registry.config)}
    pushed = tfserve(*arguments, image, "--force", "--json", env=credentials)
    assert pushed.returncode == 0, pushed.stderr
    digest = json.loads(pushed.stdout)["digest"]
    assert docker_client.images.get(image).attrs["RepoDigests"] == [f"{private_registry.host}/{label}@{digest}"]
    nowhere = f"127.0.0.1:9/{label}:1"
    assert_error(
        tfserve(*arguments, nowhere),
        5,
        f"{nowhere} could not be pushed to 127.0.0.1:9",
        f"docker push {nowhere}",
        "tfserve doctor",
    )


@pytest.mark.parametrize(("mebibytes", "where"), [(80, "the copy"), (30, "the commit")])
def test_a_full_disk(
    mebibytes: int, where: str, small_engine: Dockerd, tfserve: Tfserve, unique_name: Name, copied: Copy
) -> None:
    model = copied("m")
    with (model / "1" / "assets.bin").open("wb") as file:
        file.truncate(mebibytes * 2**20)
    client = docker.DockerClient(base_url=small_engine.host)
    base = _small_base(client, unique_name)
    layers = small_engine.store / "overlay2"
    before = sorted(layers.iterdir())
    host = {"DOCKER_HOST": small_engine.host}
    done = tfserve("package", model, "--image", unique_name("image"), "--base", base, env=host)
    assert_error(done, 5, "The engine's disk is full", "was not made", "docker system df")
    assert client.containers.list(all=True) == []
    assert [image.tags for image in client.images.list(all=True)] == [[f"{base}:latest"]]
    assert sorted(layers.iterdir()) == before
    client.close()


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.3, 0.5])
def test_an_interrupt_at_any_moment_leaves_nothing(
    seconds: float, big: Path, tfserve: Tfserve, unique_name: Name, docker_client: DockerClient
) -> None:
    label = unique_name()
    process = tfserve.start("package", big, "--image", unique_name("image"), "--label", f"test={label}")
    eventually(lambda: containers_labeled(docker_client, label))
    time.sleep(seconds)  # to interrupt at different moments of the copy and the commit; not to wait for a condition
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    assert containers_labeled(docker_client, label) == []
    assert images_labeled(docker_client, label) == []


def test_an_interrupted_push_reports_that_the_image_exists(
    tfserve: Tfserve, unique_name: Name, docker_client: DockerClient
) -> None:
    label = unique_name()
    base = _small_base(docker_client, unique_name)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a registry that never answers
        image = f"127.0.0.1:{silent.getsockname()[1]}/{label}:1"
        process = tfserve.start(
            "package", HALF_PLUS_TWO, "--base", base, "--label", f"test={label}", "--image", image, "--push"
        )
        silent.accept()[0].close()
        connection, _ = silent.accept()  # the engine tries TLS first, then plain HTTP
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        connection.close()
    assert process.stderr is not None
    assert f"{image} is on the engine, but was not pushed to its registry." in process.stderr.read()
    assert [found.tags for found in images_labeled(docker_client, label)] == [[image]]
    assert containers_labeled(docker_client, label) == []


def _small_base(client: DockerClient, unique_name: Name) -> str:
    """Makes a minimal serving image that cannot be run."""
    name = unique_name("base")
    changes = ['ENTRYPOINT ["/usr/bin/tf_serving_entrypoint.sh"]']
    client.api.import_image_from_data(_tar_of({"models/x": b""}), repository=name, tag="latest", changes=changes)
    return name


def _tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()

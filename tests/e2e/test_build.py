"""``tfserve build`` on a real engine: a small source tree with Dockerfiles such as tensorflow/serving's."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker import DockerClient

from tests.program import assert_error, eventually

from .conftest import Tfserve
from .dockerd import Dockerd

HALF_PLUS_TWO = Path(__file__).parents[2] / "examples" / "half_plus_two"
SOURCES = Path(__file__).parent / "serving_sources"
DOCKERFILES = Path("tensorflow_serving", "tools", "docker")
RUN = "RUN echo"

pytestmark = pytest.mark.usefixtures("own_engine")


@pytest.fixture
def sources(tmp_path: Path, unique_name: Callable[..., str]) -> Path:
    """A source tree that the test may change. Its labels are unique, so that none of its layers is cached."""
    copied = Path(shutil.copytree(SOURCES, tmp_path / "my serving"))
    for file in (copied / DOCKERFILES).iterdir():
        file.write_text(file.read_text().replace("LABEL ", f"LABEL test={unique_name()} ", 1))
    return copied


@pytest.fixture(autouse=True)
def nothing_is_left(docker_client: DockerClient, unique_prefix: str) -> Iterator[None]:
    yield
    for image in docker_client.images.list(filters={"dangling": True}):
        assert not image.labels.get("test", "").startswith(unique_prefix)
    for container in docker_client.api.containers(all=True):
        assert not container["Labels"].get("test", "").startswith(unique_prefix)


def test_a_credential_helper_that_is_missing(
    sources: Path, tfserve: Tfserve, unique_name: Callable[..., str], tmp_path: Path
) -> None:
    config = tmp_path / "docker" / "config.json"
    config.parent.mkdir()
    config.write_text('{"credsStore": "there-is-none"}')
    image = f"{unique_name('built')}:1"
    built = tfserve("build", "--source", sources, "--image", image, env={"DOCKER_CONFIG": str(config.parent)})
    assert built.returncode == 0, built.stderr
    notice = (
        f"docker-credential-there-is-none, which {config} names, is not installed: continuing without its credentials."
    )
    assert built.stderr.count("docker-credential-") == built.stderr.splitlines().count(notice) == 1


def change(sources: Path, name: str, old: str, new: str) -> None:
    file = sources / DOCKERFILES / name
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


@pytest.mark.parametrize("gpu", [False, True])
def test_builds_an_image_that_serves(
    gpu: bool, sources: Path, tfserve: Tfserve, unique_name: Callable[..., str], docker_client: DockerClient
) -> None:
    image = f"{unique_name('built')}:1"
    subprocess.run(["git", "init", "--quiet", sources], check=True)
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    subprocess.run(["git", "-C", sources, *identity, "commit", "--quiet", "--allow-empty", "-m", "x"], check=True)
    head = subprocess.run(["git", "-C", sources, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    commit = head.stdout.strip()
    options = ("--build-option=--copt=-mavx2", "--build-option=--config=release", "--ram", "2048")
    built = tfserve("build", "--source", sources, "--image", image, *options, "--json", *(["--gpu"] if gpu else []))
    assert built.returncode == 0, built.stderr
    found = docker_client.images.get(image)
    document = json.loads(built.stdout)
    assert (document["image"], document["id"], document["devel_image"]) == (image, found.id, f"{image}-devel")
    assert document["build_arguments"][image] == {
        "TF_SERVING_VERSION_GIT_COMMIT": commit,
        "TF_SERVING_BUILD_IMAGE": f"{image}-devel",
    }
    assert found.labels["tensorflow_serving_github_commit"] == commit
    assert docker_client.images.get(f"{image}-devel").labels["tensorflow_serving_github_commit"] == commit
    with_options = "--local_ram_resources=2048 --copt=-mavx2 --config=release"
    log = built.stderr.splitlines()
    assert f"Building with: {with_options}" in log
    assert "[1 / 2] compiling" in log
    assert "[2 / 2] linking" in log
    suffix = ".gpu" if gpu else ""
    assert f"Building {image} from {DOCKERFILES}/Dockerfile{suffix} (2 of 2)" in log
    name = unique_name()
    ports = ("--rest-port", "0", "--grpc-port", "none")
    ran = tfserve("run", HALF_PLUS_TWO, "--name", name, "--image", image, *ports, "--no-gpu")
    assert ran.returncode == 0, ran.stderr
    tfserve("rm", "--force", name)


def test_a_name_in_use(
    sources: Path, tfserve: Tfserve, unique_name: Callable[..., str], docker_client: DockerClient
) -> None:
    image = f"{unique_name('built')}:1"
    arguments = ("build", "--source", sources, "--image", image)
    assert tfserve(*arguments).returncode == 0
    first = docker_client.images.get(image).id
    assert_error(tfserve(*arguments), 6, f"The name {image} is already taken", "--force")
    docker_client.images.remove(image)
    assert_error(tfserve(*arguments), 6, f"The name {image}-devel is already taken", "--force")
    change(sources, "Dockerfile", "ENV MODEL_NAME=model", "ENV MODEL_NAME=other")
    assert tfserve(*arguments, "--force").returncode == 0
    assert docker_client.images.get(image).id != first


@pytest.mark.parametrize("missing", ["Dockerfile.devel", "Dockerfile"])
def test_sources_without_a_dockerfile(
    missing: str, sources: Path, tfserve: Tfserve, unique_name: Callable[..., str]
) -> None:
    (sources / DOCKERFILES / missing).unlink()
    done = tfserve("build", "--source", sources, "--image", unique_name())
    assert_error(done, 2, f"{DOCKERFILES}/{missing} was not found", "git clone")


def test_a_step_that_fails(
    sources: Path, tfserve: Tfserve, unique_name: Callable[..., str], docker_client: DockerClient
) -> None:
    image = unique_name()
    change(sources, "Dockerfile.devel", RUN, "RUN echo a dire message; (exit 42) && echo")
    done = tfserve("build", "--source", sources, "--image", image)
    words = f"of {DOCKERFILES}/Dockerfile.devel failed with exit code 42: RUN echo a dire message"
    assert_error(done, 5, words, "The output of the command is above.")
    assert done.stderr.splitlines().count("a dire message") == 1
    assert "--ram" not in done.stderr
    assert not docker_client.images.list(image)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("RUN exit 137", "--ram 2048"),
        ("RUN echo g++: fatal error: Killed signal terminated program cc1plus; false", "--ram 2048"),
        ("RUN no-such-command", "does not contain that command"),
        ("COPY absent /", ".dockerignore"),
        ("FROM 127.0.0.1:9/no/base", "docker pull"),
        ("USER absent\nRUN true", "Check that line"),
    ],
)
def test_the_hint_for_a_step_that_fails(
    line: str, words: str, sources: Path, tfserve: Tfserve, unique_name: Callable[..., str]
) -> None:
    change(sources, "Dockerfile.devel", RUN, f"{line}\n{RUN}")
    done = tfserve("build", "--source", sources, "--image", unique_name())
    assert_error(done, 5, "Dockerfile.devel failed", words)
    assert ("--ram" in done.stderr) == ("--ram" in words)


def test_images_lists_it_without_labels_of_the_sources(
    sources: Path, tfserve: Tfserve, unique_name: Callable[..., str], docker_client: DockerClient
) -> None:
    repository = unique_name("built")
    for file in (sources / DOCKERFILES).iterdir():
        text = re.sub(r"^LABEL tensorflow.*", "", file.read_text(), flags=re.MULTILINE)
        file.write_text(re.sub(r" tensorflow_serving_github_\w+=\S+", "", text))
    done = tfserve("build", "--source", sources, "--image", f"{repository}:mine")
    assert done.returncode == 0, done.stderr
    listed = json.loads(tfserve("images", repository, "--json").stdout)
    assert [(image["image"], image["kind"]) for image in listed] == [
        (f"{repository}:mine", "serving"),
        (f"{repository}:mine-devel", "devel"),
    ]


def test_memory_is_passed_as_the_dockerfile_accepts_it(
    sources: Path, tfserve: Tfserve, unique_name: Callable[..., str], docker_client: DockerClient
) -> None:
    change(sources, "Dockerfile.devel", 'ARG TF_SERVING_BAZEL_OPTIONS=""\n', "")
    done = tfserve("build", "--source", sources, "--image", unique_name("built"), "--ram", "2048")
    assert done.returncode == 0, done.stderr
    assert "Building with:  --config=release --local_ram_resources=2048" in done.stderr.splitlines()


def test_the_second_image_fails(
    sources: Path, tfserve: Tfserve, unique_name: Callable[..., str], docker_client: DockerClient
) -> None:
    image = unique_name()
    change(sources, "Dockerfile", "/built-with /built-with", "/absent /absent")
    done = tfserve("build", "--source", sources, "--image", image)
    assert_error(done, 5, f"of {DOCKERFILES}/Dockerfile failed: COPY", f"was built: {image}:latest-devel", "--force")
    assert [found.tags for found in docker_client.images.list(image)] == [[f"{image}:latest-devel"]]


def test_a_dockerfile_that_is_not_valid(sources: Path, tfserve: Tfserve, unique_name: Callable[..., str]) -> None:
    change(sources, "Dockerfile.devel", RUN, "RUNN echo")
    done = tfserve("build", "--source", sources, "--image", unique_name())
    assert_error(done, 2, "Dockerfile.devel cannot be built", "RUNN")


@pytest.mark.parametrize("mebibytes", [80, 30])  # either the sources do not fit, or the layer that contains them
def test_a_full_disk(
    mebibytes: int, sources: Path, small_engine: Dockerd, tfserve: Tfserve, unique_name: Callable[..., str]
) -> None:
    with (sources / "big").open("wb") as file:
        file.truncate(mebibytes * 2**20)
    (sources / DOCKERFILES / "Dockerfile.devel").write_text("FROM scratch\nCOPY big /\n")
    layers = small_engine.store / "overlay2"
    before = sorted(layers.iterdir())
    image = unique_name()
    done = tfserve("build", "--source", sources, "--image", image, env={"DOCKER_HOST": small_engine.host})
    assert_error(done, 5, "The engine's disk is full", f"{image}:latest-devel was not built", "docker system df")
    client = DockerClient(base_url=small_engine.host)
    assert (client.containers.list(all=True), client.images.list(all=True)) == ([], [])
    assert sorted(layers.iterdir()) == before
    client.close()


def test_no_space_for_the_archive_of_the_sources(
    sources: Path, small_disk: Path, tfserve: Tfserve, unique_name: Callable[..., str]
) -> None:
    (sources / "big").write_bytes(bytes(2**20))
    done = tfserve("build", "--source", sources, "--image", unique_name(), env={"TMPDIR": str(small_disk)})
    assert_error(done, 1, f"{small_disk} is full", "TMPDIR")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(
    number: signal.Signals,
    sources: Path,
    tfserve: Tfserve,
    unique_name: Callable[..., str],
    docker_client: DockerClient,
) -> None:
    image = unique_name()
    change(sources, "Dockerfile.devel", RUN, "RUN sleep 60; echo")
    process = tfserve.start("build", "--source", sources, "--image", image)

    def sleeps() -> bool:
        return any("sleep 60" in found["Command"] for found in docker_client.api.containers())

    eventually(sleeps)
    process.send_signal(number)
    assert process.wait(timeout=30) == 128 + number
    assert not docker_client.images.list(image)


@pytest.mark.parametrize("line", ["(1 of 2)", "Step 4/", "Step 9/", "Step 16/"])
def test_an_interrupt_between_steps_leaves_nothing(
    line: str, sources: Path, tfserve: Tfserve, unique_name: Callable[..., str], docker_client: DockerClient
) -> None:
    """The steps are so short that the interrupt may arrive during any of them."""
    image = unique_name()
    more = "\n".join(f"LABEL test.{number}={image}" for number in range(10))
    change(sources, "Dockerfile.devel", "FROM base_build", f"{more}\nFROM base_build")
    images = {found.id for found in docker_client.images.list(all=True)}
    process = tfserve.start("build", "--source", sources, "--image", image)
    assert process.stderr is not None
    for printed in process.stderr:
        if line in printed:
            break
    process.send_signal(signal.SIGTERM)
    process.stderr.read()
    assert process.wait(timeout=60) == 143
    assert not [
        found
        for found in docker_client.images.list(all=True)
        if found.id not in images and image in found.labels.values()
    ]


def test_an_interrupt_while_the_sources_are_packed(
    sources: Path, tfserve: Tfserve, unique_name: Callable[..., str], docker_client: DockerClient, tmp_path: Path
) -> None:
    with (sources / "big").open("wb") as file:
        file.truncate(20 * 2**30)  # more than can be packed within the time limit of the test
    image = unique_name()
    process = tfserve.start("build", "--source", sources, "--image", image, env={"TMPDIR": str(tmp_path)})
    assert process.stderr is not None
    assert "(1 of 2)" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    assert not docker_client.images.list(image)

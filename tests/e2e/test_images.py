"""``tfserve images``: the images of the engine, and the tags of a real registry."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from docker import DockerClient

from tests.program import assert_error

from .bring_up import Engine
from .conftest import PrivateRegistry, Tfserve

HALF_PLUS_TWO = Path(__file__).parents[2] / "examples" / "half_plus_two"


def test_lists_the_images_of_the_engine(
    tfserve: Tfserve, unique_name: Callable[..., str], docker_client: DockerClient
) -> None:
    packaged, other = f"{unique_name('packaged')}:1", unique_name("other")
    assert tfserve("package", HALF_PLUS_TWO, "--image", packaged).returncode == 0
    docker_client.api.import_image_from_data(b"\0" * 1024, repository=other, tag="latest")
    document = json.loads(tfserve("images", "--json").stdout)
    found = {image["image"]: image for image in document}
    assert other not in found
    assert found["tensorflow/serving:latest"]["kind"] == "serving"
    attributes = docker_client.images.get(packaged).attrs
    assert found[packaged] == {
        "image": packaged,
        "kind": "packaged",
        "id": attributes["Id"],
        "size": attributes["Size"],
        "created": attributes["Created"].partition(".")[0] + "Z",
        "platform": f"linux/{attributes['Architecture']}",
        "models": ["half_plus_two"],
    }
    table = tfserve("images", packaged.partition(":")[0]).stdout.splitlines()
    assert table[0].split() == ["IMAGE", "KIND", "SIZE", "AGE", "PLATFORM", "MODELS"]
    assert [line.split()[:2] for line in table[1:]] == [[packaged, "packaged"]]
    assert table[1].endswith("half_plus_two")


def test_lists_images_that_other_programs_made(
    tfserve: Tfserve, unique_name: Callable[..., str], docker_client: DockerClient
) -> None:
    """An image without labels is recognized by its entrypoint, and one made as in the guide by its variables."""
    plain, named, other = unique_name("plain"), unique_name("named"), unique_name("other")
    entrypoint = 'ENTRYPOINT ["/usr/bin/tf_serving_entrypoint.sh"]'
    for repository, changes in (
        (plain, [entrypoint, "ENV MODEL_NAME model"]),
        (named, [entrypoint, "ENV MODEL_NAME mine"]),
        (other, ["ENV MODEL_NAME mine"]),
    ):
        docker_client.api.import_image_from_data(b"\0" * 1024, repository=repository, tag="1", changes=changes)
    found = {image["image"]: image for image in json.loads(tfserve("images", "--json").stdout)}
    assert (found[f"{plain}:1"]["kind"], found[f"{plain}:1"]["models"]) == ("serving", [])
    assert (found[f"{named}:1"]["kind"], found[f"{named}:1"]["models"]) == ("packaged", ["mine"])
    assert f"{other}:1" not in found


def test_a_repository_without_images(tfserve: Tfserve, unique_name: Callable[..., str]) -> None:
    absent = unique_name("absent")
    listed = tfserve("images", absent)
    assert (listed.returncode, listed.stdout) == (0, "")
    assert f"No serving image of {absent} has been pulled" in listed.stderr


def test_lists_the_tags_of_a_registry(engine: Engine, tfserve: Tfserve) -> None:
    if engine.mirror is None:
        pytest.skip("this test needs a registry, which only an engine that these tests started has")
    repository = f"{engine.mirror.removeprefix('http://')}/tensorflow/serving"
    document = json.loads(tfserve("images", "--remote", repository, "--json").stdout)
    assert document[:2] == [
        {"image": f"{repository}:latest", "kind": "serving"},
        {"image": f"{repository}:latest-devel", "kind": "devel"},
    ]
    shown = tfserve("images", "--remote", repository).stdout.splitlines()
    assert [line.split() for line in shown[1:]] == [[entry["image"], entry["kind"]] for entry in document]


def test_uses_the_mirror_of_the_engine(engine: Engine, tfserve: Tfserve) -> None:
    if engine.mirror is None:
        pytest.skip("this test needs a registry, which only an engine that these tests started has")
    document = json.loads(tfserve("images", "--remote", "--json").stdout)
    assert document[0] == {"image": "tensorflow/serving:latest", "kind": "serving"}
    one = tfserve("images", "--remote", "tensorflow/serving:2.19.1", "--json", env={"http_proxy": "http://127.0.0.1:9"})
    assert json.loads(one.stdout) == [{"image": "tensorflow/serving:2.19.1", "kind": "serving"}]


def test_a_tag_selects_one_image(tfserve: Tfserve) -> None:
    (image,) = json.loads(tfserve("images", "tensorflow/serving:latest", "--json").stdout)
    assert image["image"] == "tensorflow/serving:latest"


def test_a_registry_that_requires_a_login(
    tfserve: Tfserve, private_registry: PrivateRegistry, unique_name: Callable[..., str]
) -> None:
    repository = f"{private_registry.host}/{unique_name('absent')}"
    assert_error(tfserve("images", "--remote", repository), 5, "denies this user access", "docker login")
    known = tfserve("images", "--remote", repository, env={"DOCKER_CONFIG": str(private_registry.config)})
    assert_error(known, 5, f"The registry {private_registry.host} has no repository")

"""``tfserve pull`` against a real registry, and against one that refuses."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from docker import DockerClient

from .bring_up import Engine
from .conftest import Tfserve


@pytest.mark.parametrize(
    ("arguments", "image"),
    [
        ((), "tensorflow/serving:latest"),
        (("--gpu",), "tensorflow/serving:latest-gpu"),
        (("--tag", "2.19.1"), "tensorflow/serving:2.19.1"),
        (("--tag", "2.19.1", "--devel", "--gpu"), "tensorflow/serving:2.19.1-devel-gpu"),
    ],
)
def test_pulls_the_requested_tag(
    arguments: tuple[str, ...], image: str, engine: Engine, tfserve: Tfserve, docker_client: DockerClient
) -> None:
    if not engine.own and arguments:
        pytest.skip("the other official images have many gigabytes")
    pulled = tfserve("pull", *arguments, "--json")
    assert pulled.returncode == 0, pulled.stderr
    found = docker_client.images.get(image)
    document = json.loads(pulled.stdout)
    assert (document["image"], document["id"]) == (image, found.id)
    assert document["size"] == found.attrs["Size"]
    assert document["platform"] == f"linux/{found.attrs['Architecture']}"
    assert pulled.stderr == f"Pulling {image}\n"  # no progress bars without a terminal


@pytest.fixture
def refusing_registry() -> Iterator[str]:
    """A registry on loopback that refuses every request."""

    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"errors": [{"code": "DENIED", "message": "requested access to the resource is denied"}]}'
            self.send_response(403)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the name that http.server requires

        def log_message(self, *_: object) -> None:
            """Prints nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_registry_that_refuses(refusing_registry: str, tfserve: Tfserve) -> None:
    pulled = tfserve("pull", f"{refusing_registry}/private/serving")
    assert pulled.returncode == 5, pulled.stderr
    assert "does not give" in pulled.stderr
    assert "docker login" in pulled.stderr


def test_a_registry_that_cannot_be_reached(tfserve: Tfserve) -> None:
    pulled = tfserve("pull", "127.0.0.1:9/absent/serving")
    assert pulled.returncode == 5, pulled.stderr
    assert "Hint:" in pulled.stderr


def test_a_platform_without_an_image(tfserve: Tfserve) -> None:
    pulled = tfserve("pull", "--platform", "linux/s390x")
    assert pulled.returncode == 5, pulled.stderr
    assert "linux/s390x" in pulled.stderr
    assert "--platform linux/amd64" in pulled.stderr
    assert "--engine local" not in pulled.stderr  # pull does not have this option


def test_reports_which_tag_it_chose(engine: Engine, tfserve: Tfserve, unique_name: Callable[..., str]) -> None:
    if not engine.own:
        pytest.skip("the other official images have many gigabytes")
    pulled = tfserve("pull", "--tag", "2.19.1", "--gpu")
    assert pulled.stdout.startswith("Pulled tensorflow/serving:2.19.1-gpu: ")
    unofficial = f"127.0.0.1:9/{unique_name()}:1"
    assert f"--gpu and --devel have no effect on {unofficial}" in tfserve("pull", unofficial, "--gpu").stderr


def test_an_image_that_must_not_be_pulled(tfserve: Tfserve) -> None:
    model = Path(__file__).parents[2] / "examples" / "half_plus_two"
    ran = tfserve("run", model, "--image", "tfserve-test/absent", "--pull", "never")
    assert ran.returncode == 5
    assert "--pull never" in ran.stderr

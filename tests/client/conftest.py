"""A real server for the tests of the client: the local model server with half_plus_two."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.free_ports import free_ports
from tfserve.client.failures import DroppedError, NotListeningError
from tfserve.client.rest import poll_status

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0


class Addresses(NamedTuple):
    """The addresses of a server.

    Attributes:
        url: the URL of the REST API.
        grpc: the address of the gRPC API, as ``host:port``.
    """

    url: str
    grpc: str


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """A server with version 1 of ``half_plus_two``."""
    rest_port, grpc_port = free_ports(2)
    addresses = Addresses(f"http://127.0.0.1:{rest_port}", f"127.0.0.1:{grpc_port}")
    log = tmp_path_factory.mktemp("client") / "log"
    command = [
        *(sys.executable, "-m", "tfserve.model_server", f"--port={grpc_port}", f"--rest_api_port={rest_port}"),
        *("--bind_address=127.0.0.1", "--model_name=half_plus_two"),
        f"--model_base_path={ROOT / 'examples' / 'half_plus_two'}",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | {"PYTHONPATH": str(ROOT)})
        try:
            wait_until_available(addresses.url, process, log)
            yield addresses
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def server_url(server: Addresses) -> str:
    """The URL of the server."""
    return server.url


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A TCP port of 127.0.0.1 that refuses connections: it is bound, but nothing listens on it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def wait_until_available(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Polls until the model is AVAILABLE; a server that is loading does not listen yet."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text(errors="replace")
        try:
            if poll_status(url, "half_plus_two")[0].state == "AVAILABLE":
                return
        except (NotListeningError, DroppedError):
            pass
        time.sleep(0.02)
    raise AssertionError(f"not AVAILABLE in time\n{log.read_text(errors='replace')}")

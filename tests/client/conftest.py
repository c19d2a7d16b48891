"""A real server for the tests of the client: the local model server with the model of the guide."""

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

from tfserve.client.failures import DroppedError, NotListeningError
from tfserve.client.rest import poll_status

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0


class Addresses(NamedTuple):
    """Where a server is.

    Attributes:
        url: of the REST API.
        grpc: of the gRPC API, as ``host:port``.
    """

    url: str
    grpc: str


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """A server of ``half_plus_two`` version 1."""
    rest_port, grpc_port = free_port(), free_port()
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
    """URL of that server."""
    return server.url


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_available(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits as a client would: a server that is loading has no port yet."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text(errors="replace")
        try:
            if poll_status(url, "half_plus_two")[0].state == "AVAILABLE":
                return
        except (NotListeningError, DroppedError):
            pass
        time.sleep(0.02)
    raise AssertionError(f"not available in time\n{log.read_text(errors='replace')}")

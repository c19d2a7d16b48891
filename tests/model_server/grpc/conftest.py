"""Servers with a gRPC port, and their clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.model_server.server_process import ServerProcess
from tfserve.host.ports import any_free_port

from .client import Client


class GrpcProcess(ServerProcess):
    """A server with both ports."""

    def __init__(
        self, log_path: Path, base_path: Path | None, *flags: str, name: str = "m", config_file: Path | None = None
    ) -> None:
        self.grpc_port = any_free_port("127.0.0.1")
        flags = (f"--port={self.grpc_port}", *flags)
        super().__init__(log_path, base_path, *flags, name=name, config_file=config_file)

    def __enter__(self) -> GrpcProcess:
        return self

    def client(self) -> Client:
        return Client(f"127.0.0.1:{self.grpc_port}")


@pytest.fixture(scope="session")
def zoo_process(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[GrpcProcess]:
    """A server with the model ``zoo``, the features that are off by default, and one thread for slow models."""
    log = tmp_path_factory.mktemp("grpc_zoo") / "log"
    flags = ("--enable_grpc_healthcheck_service=true", "--grpc_max_message_bytes=20000000", "--rest_api_num_threads=1")
    with GrpcProcess(log, models / "zoo", *flags, name="zoo") as process:
        process.wait_until_ready()
        yield process


@pytest.fixture(scope="session")
def zoo_client(zoo_process: GrpcProcess) -> Client:
    """A client of that server."""
    return zoo_process.client()

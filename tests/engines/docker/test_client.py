from __future__ import annotations

import socket
from pathlib import Path

import pytest
from docker import APIClient

from tfserve.engines.docker.client import docker_errors
from tfserve.errors import EngineUnavailableError


def test_errors_do_not_quote_the_library(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "docker.sock"))
        silent.listen()
        client = APIClient(base_url=f"unix://{tmp_path}/docker.sock", version="1.41", timeout=0.2)
        with pytest.raises(EngineUnavailableError, match="stopped answering") as caught, docker_errors():
            client.info()
        client.close()
    assert caught.value.details == "It did not answer in time."

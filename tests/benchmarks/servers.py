"""Servers to measure: processes that listen on 127.0.0.1 while a ``with`` block runs."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.cached_models import bentoml, temporary
from tests.benchmarks.command_line import HALF_PLUS_TWO
from tests.free_ports import free_ports
from tfserve.host.ports import any_free_port

SCALARS = b'{"instances":[1.0,2.0,5.0]}'
"""A request to half_plus_two, in TensorFlow Serving's format, which is also the format of the service in BentoML."""

ANSWER = (2.5, 3.0, 4.5)
"""The response of half_plus_two to it."""

_SERVICE = Path(__file__).with_name("bento_service.py")
_START_SECONDS = 120


@dataclass(frozen=True)
class ModelServer:
    """A running ``tfserve-model-server``.

    Attributes:
        pid: its process ID.
        port: the port of the REST API.
        grpc_port: the port of the gRPC API; 0 if there is none.
    """

    pid: int
    port: int
    grpc_port: int

    def url(self, model: str = "m", what: str = ":predict") -> str:
        """Returns a URL of the REST API."""
        return f"http://127.0.0.1:{self.port}/v1/models/{model}{what}"

    def resident(self) -> float:
        """Returns its current memory in RAM, in bytes."""
        return resident(Path(f"/proc/{self.pid}/status").read_text())


@contextmanager
def model_server(base_path: Path = HALF_PLUS_TWO, *flags: str, grpc: bool = False) -> Iterator[ModelServer]:
    """Runs a model server with one model, ``m``, unless `flags` name other models."""
    port, free_grpc_port = free_ports(2)
    grpc_port = free_grpc_port if grpc else 0
    arguments = [f"--rest_api_port={port}", f"--port={grpc_port}", "--bind_address=127.0.0.1"]
    arguments += ["--model_name=m", f"--model_base_path={base_path}", *flags]
    with _process([sys.executable, "-m", "tfserve.model_server", *arguments], {}) as pid:
        yield ModelServer(pid, port, grpc_port)


@contextmanager
def two_models(first: Path, second: Path, *flags: str, grpc: bool = False) -> Iterator[ModelServer]:
    """Runs a model server with the models ``first`` and ``second``."""
    models = {"first": first, "second": second}
    configs = [
        f'config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" }}' for name, path in models.items()
    ]
    with (
        temporary(f"model_config_list {{ {' '.join(configs)} }}") as config,
        model_server(first, f"--model_config_file={config}", *flags, grpc=grpc) as server,
    ):
        yield server


@contextmanager
def bento_server() -> Iterator[str]:
    """Runs BentoML with half_plus_two, without its usage reports, and gives the URL that predicts."""
    environment = bentoml()
    port = any_free_port("127.0.0.1")
    variables = {
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(environment / "home"),
        "HALF_PLUS_TWO": str(HALF_PLUS_TWO / "1"),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    program = str(environment / "bin" / "bentoml")
    arguments = ["serve", "bento_service:HalfPlusTwo", "--working-dir", str(_SERVICE.parent)]
    with _process([program, *arguments, "--host", "127.0.0.1", "--port", str(port)], variables):
        yield f"http://127.0.0.1:{port}/predict"


@contextmanager
def _process(command: list[str], variables: Mapping[str, str]) -> Iterator[int]:
    """Runs a program, in a process group of its own with its children, while the block runs."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | variables,
        start_new_session=True,
    ) as process:
        try:
            yield process.pid
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def post(url: str, body: bytes) -> bytes:
    """Posts `body`, and repeats it until the server responds; returns the response.

    Raises:
        AssertionError: the response is an error, or the server does not start.
    """
    host, _, path = url.removeprefix("http://").partition("/")
    deadline = time.monotonic() + _START_SECONDS
    while True:
        connection = http.client.HTTPConnection(host, timeout=60)
        try:
            connection.request("POST", f"/{path}", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        except OSError:
            assert time.monotonic() < deadline, f"nothing answers at {url}"
            time.sleep(0.005)
            continue
        finally:
            connection.close()
        assert answer.status == 200, text
        return text


def resident(status: str) -> float:
    """Returns the bytes in RAM according to a ``/proc/PID/status``."""
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return float(line.split()[1]) * 1024

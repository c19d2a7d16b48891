"""A real model server for a test: a process of its own on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import requests

from tests.program import eventually
from tfserve.host.ports import any_free_port

PATIENCE = 60.0
"""Seconds before a wait fails; what tests wait for takes moments on a quiet machine."""


class ServerProcess:
    """The server as a process, with one model, or with those of a configuration file, of which `name` is one.

    Leaving the ``with`` block kills it.
    """

    def __init__(
        self,
        log_path: Path,
        base_path: Path | str | None,
        *flags: str,
        name: str = "m",
        config_file: Path | None = None,
    ) -> None:
        if config_file is None:
            served = [f"--model_name={name}", f"--model_base_path={base_path}"]
        else:
            served = [f"--model_config_file={config_file}"]
        self.port = any_free_port("127.0.0.1")
        self.name = name
        self.url = f"http://127.0.0.1:{self.port}/v1/models/{name}"
        self.log_path = log_path
        self.session = requests.Session()
        with log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tfserve.model_server"),
                    *(f"--rest_api_port={self.port}", "--port=0", "--bind_address=127.0.0.1"),
                    *served,
                    *flags,
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()
        self.process.kill()
        self.process.wait()

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")  # TensorFlow writes bytes of requests unchanged

    def wait_for(self, condition: Callable[[], bool]) -> None:
        try:
            eventually(condition, PATIENCE)
        except AssertionError:
            raise TimeoutError(self.log) from None

    def wait_for_log(self, text: str) -> None:
        self.wait_for(lambda: text in self.log)

    def wait_for_exit(self) -> int:
        """Waits until the server ends; returns its exit code."""
        return self.process.wait(PATIENCE)

    def wait_until_ready(self) -> ServerProcess:
        self.wait_for(lambda: self.answers() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log
        return self

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def predict(self, body: object, path: str = ":predict") -> requests.Response:
        """Posts `body`: bytes and text unchanged, everything else as JSON."""
        data = {"data": body} if isinstance(body, bytes | str) else {"json": body}
        return self.session.post(self.url + path, timeout=PATIENCE, **data)

    def get(self, path: str = "") -> requests.Response:
        return self.session.get(self.url + path, timeout=PATIENCE)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

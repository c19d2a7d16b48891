"""The log of a server that tfserve started stays small; see also the tests of `read_log`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
import requests

from tests.free_ports import free_ports
from tests.program import Program, eventually
from tfserve.log_file import LIMIT_VARIABLE, MAX_BYTES, limit_of

LIMIT = 100_000


def test_the_log_of_a_local_server(tfserve: Program, half_plus_two: Path) -> None:
    options = ("--engine", "local", "--rest-port", "0", "--grpc-port", "none", "--json")
    done = tfserve("run", half_plus_two, *options, **{LIMIT_VARIABLE: str(LIMIT)})
    assert done.returncode == 0, done.stderr
    log = tfserve.servers / "half_plus_two" / "server.log"
    (pid,) = (server["pid"] for server in tfserve.json("ps"))
    # TensorFlow writes to this descriptor too, without the server's knowledge.
    with Path(f"/proc/{pid}/fd/2").open("ab") as stderr:
        stderr.write(b"".join(b"line %06d\n" % number for number in range(24_000)))
    eventually(lambda: log.stat().st_size <= LIMIT)
    lines = list(filter(lambda line: line.startswith("line "), tfserve("logs", "half_plus_two").stdout.splitlines()))
    assert lines == [f"line {number:06d}" for number in range(24_000 - len(lines), 24_000)]
    assert len(lines) > 1000
    assert tfserve("predict", "half_plus_two", "1").returncode == 0
    assert tfserve("stop", "half_plus_two").returncode == 0
    size = MAX_BYTES + 1  # which the limit of the command that starts it again allows
    os.truncate(log, size)
    assert tfserve("start", "half_plus_two", **{LIMIT_VARIABLE: str(2 * MAX_BYTES)}).returncode == 0
    assert log.stat().st_size >= size


@pytest.mark.parametrize(
    ("text", "limit"), [("1", 1), ("007", 7), ("", None), ("0", None), ("-1", None), ("²", None), ("1" * 5000, None)]
)
def test_the_limit_in_the_environment(text: str, limit: int | None) -> None:
    assert limit_of({LIMIT_VARIABLE: text}) == limit
    assert limit_of({}) is None


@contextmanager
def serving(model: Path, log: IO[bytes], environment: Mapping[str, str]) -> Iterator[None]:
    """A server that answers, with `log` as its stderr."""
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "tfserve.model_server", "--port=0", f"--rest_api_port={port}"]
    with subprocess.Popen([*command, f"--model_base_path={model}"], stderr=log, env=environment) as process:

        def answers() -> bool:
            try:
                return requests.get(f"http://127.0.0.1:{port}/v1/models/default", timeout=10).ok
            except requests.ConnectionError:
                return False

        try:
            eventually(answers)
            yield
        finally:
            process.terminate()


def test_a_log_that_cannot_be_shortened(half_plus_two: Path, tmp_path: Path) -> None:
    """The server reports it once, and does not try again and again."""
    path = tmp_path / "log"
    path.write_bytes(b"x" * 2 * LIMIT)
    with path.open("ab") as log, serving(half_plus_two, log, {**os.environ, LIMIT_VARIABLE: str(LIMIT)}):
        eventually(lambda: b"The log cannot be shortened" in path.read_bytes())
    assert path.stat().st_size > 2 * LIMIT
    assert path.read_bytes().count(b"The log cannot be shortened, and its size is no longer limited: ") == 1


def test_a_log_of_somebody_else_is_left_alone(half_plus_two: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != LIMIT_VARIABLE}
    with (tmp_path / "log").open("a+b") as log:
        log.write(b"x" * (20 << 20))
        log.flush()
        with serving(half_plus_two, log, environment):
            pass
    assert (tmp_path / "log").stat().st_size > 20 << 20

"""The log of a server that tfserve started stays small, whoever fills it; see also the tests of `read_log`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import requests

from tests.free_ports import free_ports
from tests.program import Program, eventually
from tfserve.log_file import LIMIT_VARIABLE

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


def test_a_log_of_somebody_else_is_left_alone(half_plus_two: Path, tmp_path: Path) -> None:
    port = free_ports(1)[0]
    environment = {name: value for name, value in os.environ.items() if name != LIMIT_VARIABLE}
    with (tmp_path / "log").open("a+b") as log:
        log.write(b"x" * (20 << 20))
        log.flush()
        command = [sys.executable, "-m", "tfserve.model_server", "--port=0", f"--rest_api_port={port}"]
        with subprocess.Popen([*command, f"--model_base_path={half_plus_two}"], stderr=log, env=environment) as process:

            def answers() -> bool:
                try:
                    return requests.get(f"http://127.0.0.1:{port}/v1/models/default", timeout=10).ok
                except requests.ConnectionError:
                    return False

            eventually(answers)
            process.terminate()
    assert (tmp_path / "log").stat().st_size > 20 << 20

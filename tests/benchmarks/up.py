"""The time of many servers of one YAML file, compared with one server, and with importing the libraries needed."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.command_line import HALF_PLUS_TWO, TFSERVE
from tests.benchmarks.pairs import Effort, Row, compare, run

MANY = 10


def rows(effort: Effort) -> Iterator[Row]:
    """Yields the rows of this part."""
    libraries, docker = ([sys.executable, "-c", f"import {names}"] for names in ("typer, yaml", "docker"))
    with _files() as (one, many):
        yield compare(
            f"tfserve config of {MANY} servers",
            lambda: run([TFSERVE, "config", "-f", many]),
            "python -c 'import typer, yaml'",
            lambda: run(libraries),
            at_most=1.5,
            rounds=effort.rounds,
        )
        yield compare(
            f"tfserve up of {MANY} local servers",
            lambda: _up(many),
            "tfserve up of one",
            lambda: _up(one),
            at_most=3.0,
            rounds=min(effort.rounds, 5),
        )
        run([TFSERVE, "up", "-f", many])
        yield compare(
            f"tfserve up of {MANY} local servers that run",
            lambda: run([TFSERVE, "up", "-f", many]),
            "python -c 'import docker'",
            lambda: run(docker),
            at_most=2.0,
            rounds=effort.rounds,
        )
        run([TFSERVE, "down", "-f", many])


def _up(file: str) -> float:
    """Returns the time until the servers of `file` are ready; removes them afterwards."""
    begin = time.perf_counter()
    run([TFSERVE, "up", "-f", file])
    seconds = time.perf_counter() - begin
    run([TFSERVE, "down", "-f", file])
    return seconds


@contextmanager
def _files() -> Iterator[tuple[str, str]]:
    """A file with one local server and one with many, and a state directory of their own."""
    with tempfile.TemporaryDirectory() as directory:
        before = os.environ.get("XDG_STATE_HOME")
        os.environ["XDG_STATE_HOME"] = f"{directory}/state"
        files = []
        for count in (1, MANY):
            file = Path(directory) / f"{count}.yaml"
            servers = "".join(f"  s{number}: {{models: ['{HALF_PLUS_TWO}']}}\n" for number in range(count))
            file.write_text(f"defaults: {{engine: local, rest_port: 0, grpc_port: none}}\nservers:\n{servers}")
            files.append(str(file))
        try:
            yield files[0], files[1]
        finally:
            run([TFSERVE, "down", "-f", files[1]])
            if before is None:
                del os.environ["XDG_STATE_HOME"]
            else:
                os.environ["XDG_STATE_HOME"] = before

"""The time of commands that only print or send a request, compared with importing the libraries they need."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.pairs import Effort, Row, compare, run

TFSERVE = str(Path(sys.executable).with_name("tfserve"))
HALF_PLUS_TWO = Path(__file__).parents[2] / "examples" / "half_plus_two"


def rows(effort: Effort) -> Iterator[Row]:
    """Yields the rows of this part."""
    rounds = effort.rounds
    typer, docker = ([sys.executable, "-c", f"import {module}"] for module in ("typer", "docker"))
    for argument in ("--version", "--help"):
        yield _row([TFSERVE, argument], typer, 1.5, rounds)
    with three_servers():
        yield _row([TFSERVE, "ps"], docker, 1.6, rounds, " with 3 servers")
        yield _row([TFSERVE, "predict", "benchmark-1", "1", "2", "5"], docker, 1.6, rounds)
    yield _row([TFSERVE, "doctor"], docker, 2.0, rounds)


def _row(command: list[str], reference: list[str], at_most: float, rounds: int, where: str = "") -> Row:
    shown = " ".join(["tfserve", *command[1:]]) + where
    return compare(
        shown,
        lambda: run(command),
        f"python -c '{reference[-1]}'",
        lambda: run(reference),
        at_most=at_most,
        rounds=rounds,
    )


@contextmanager
def three_servers() -> Iterator[None]:
    """Three servers with a state directory of their own: with Docker if possible, otherwise local."""
    names = [f"benchmark-{number}" for number in (1, 2, 3)]
    with tempfile.TemporaryDirectory() as state:
        before = os.environ.get("XDG_STATE_HOME")
        os.environ["XDG_STATE_HOME"] = state
        try:
            for name in names:
                arguments = ["--rest-port", "0", "--grpc-port", "none", "--no-smoke-test"]
                run([TFSERVE, "run", str(HALF_PLUS_TWO), "--name", name, *arguments])
            yield
        finally:
            subprocess.run([TFSERVE, "rm", "--force", *names], check=False, capture_output=True)
            if before is None:
                del os.environ["XDG_STATE_HOME"]
            else:
                os.environ["XDG_STATE_HOME"] = before

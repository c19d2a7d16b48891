"""Fixtures for the tests of commands: a running server of the bundled model, and commands in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.program import Copy, Program
from tfserve.cli import build_app


@dataclass(frozen=True)
class Served:
    """A running server of half_plus_two.

    Attributes:
        tfserve: the program that started it, and no other server.
        document: the output of ``run --json``.
    """

    tfserve: Program
    document: dict[str, Any]


def in_process(program: Program, *arguments: str | Path) -> CompletedProcess[str]:
    """Runs a command in this process, which is faster than starting one."""
    words = [str(argument) for argument in arguments]
    done = CliRunner().invoke(build_app(words), words, env=program.environment, prog_name="tfserve")
    return CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def served(half_plus_two: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all the tests that do not change it."""
    program = Program(tmp_path_factory.mktemp("home"))
    ports = ("--rest-port", "0", "--grpc-port", "0")
    yield Served(program, program.json("run", half_plus_two, "--engine", "local", *ports))
    program.clean_up()


@pytest.fixture
def hanging(copied: Copy) -> Path:
    """A model that is never loaded: its variables are a pipe without a writer."""
    model = copied("hanging")
    variables = model / "1" / "variables" / "variables.index"
    variables.unlink()
    os.mkfifo(variables)
    return model

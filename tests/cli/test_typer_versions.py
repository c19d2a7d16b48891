from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.program import Program, assert_error


def test_no_command_loads_pydantic(tfserve: Program, half_plus_two: Path) -> None:
    """From 0.29 on, Typer imports pydantic to convert the values of options."""
    options = ("--engine", "docker", "--dry-run", "--wait", "5", "--label", "half_plus_two:stable=1")
    command = [sys.executable, "-X", "importtime", "-m", "tfserve", "run", str(half_plus_two), *options]
    done = subprocess.run(command, capture_output=True, text=True, env=tfserve.environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "typer" in done.stderr
    assert "| pydantic" not in done.stderr.replace("  ", "")


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("predict", "m", "1", "--timeout", "long"), "--timeout"),
        (("models", "m", "--wait", "0.5"), "--wait"),
        (("logs", "m", "--tail", "-1"), "--tail"),
        (("logs", "m", "--tail", "1.5"), "--tail"),
        (("ps", "--engine", "podman"), "--engine"),
        (("cache", "empty"), "[list|clear]"),
    ],
)
def test_invalid_values(arguments: tuple[str, ...], option: str, tfserve: Program) -> None:
    done = tfserve(*arguments)
    assert done.returncode == 2
    assert f"Invalid value for '{option}'" in done.stderr
    assert "Traceback" not in done.stderr


def test_values_of_each_type(tfserve: Program, half_plus_two: Path) -> None:
    numbers = ("--wait", "2.5", "--cpus", "1.", "--rest-port", "0")
    lists = ("--env", "A=1", "--env", "B=2")
    done = tfserve("run", half_plus_two, "--engine", "docker", "--dry-run", *numbers, *lists)
    assert done.returncode == 0, done.stderr
    assert {"--cpus=1", "--env=A=1", "--env=B=2"} < {word.strip("\\") for word in done.stdout.split()}
    assert_error(tfserve("logs", "--tail", "007", "nothing"), 10, "'nothing'")

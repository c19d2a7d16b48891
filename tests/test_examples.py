"""Runs the examples as a user does."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import EXAMPLES
from tests.program import Program


def run(program: Program, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=program.environment, cwd=EXAMPLES.parent
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not program.server_names()
    return done.stdout


def test_client_script(tfserve: Program) -> None:
    printed = run(tfserve, "examples/client_script.py")
    for line in (
        "predict [2.5 3.  4.5]",
        "by name {'y': array([2.75, 0.75], dtype=float32)}",
        "classify [[2.5]]",
        "regress [2.5 3. ]",
        "status [(1, 'AVAILABLE')]",
        "refused: x contains text, but the input takes float32. x  DT_FLOAT  (-1,)",
        "gRPC [2.5 3.  4.5]",
    ):
        assert line in printed.splitlines()


def test_pytest_fixture(tfserve: Program) -> None:
    assert "2 passed" in run(tfserve, "-m", "pytest", "-p", "no:cacheprovider", "examples/pytest_fixture.py")

"""The program as a user runs it: real processes, with a home and servers of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, CompletedProcess, Popen
from typing import Any

from tests import forked
from tfserve.plan.launch_plan import LaunchPlan

__all__ = ["Copy", "Plan", "Program", "assert_told", "eventually"]

Copy = Callable[[str], Path]
"""Copies the bundled model to a base path of that name."""

Plan = Callable[..., LaunchPlan]
"""Makes the plan of a server that runs a piece of Python."""

_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Program:
    """``tfserve`` with a private home, a private state directory, and no Docker.

    Attributes:
        home: the home directory, under which the state directory is.
    """

    home: Path

    @property
    def servers(self) -> Path:
        """The directory of its local servers."""
        return self.home / "state" / "tfserve" / "servers"

    @property
    def environment(self) -> dict[str, str]:
        """The variables it runs with."""
        return {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "DOCKER_HOST": f"unix://{self.home}/no-docker.sock",
            "PYTHONUNBUFFERED": "1",
        }

    def __call__(self, *arguments: str | Path, stdin: str | None = None, **environment: str) -> CompletedProcess[str]:
        """Runs it to its end; `environment` comes on top of its own, and makes it load everything anew."""
        if not environment:
            return forked.run([str(argument) for argument in arguments], self.environment, stdin)
        return subprocess.run(
            self.command(arguments),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            env={**self.environment, **environment},
            timeout=60,
            check=False,
        )

    def begin(self, *arguments: str | Path, stdout: int = PIPE, **environment: str) -> Popen[str]:
        """Starts it and goes on; its stdout goes to a pipe, or to the descriptor `stdout`."""
        return Popen(
            self.command(arguments),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=PIPE,
            text=True,
            env={**self.environment, **environment},
        )

    def json(self, *arguments: str | Path) -> Any:
        """Runs it with ``--json``, and returns the one document on its stdout."""
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def left(self) -> list[str]:
        """The names of everything in the directory of servers, whole or half-made."""
        names = [path.name for path in self.servers.iterdir()] if self.servers.is_dir() else []
        return sorted(name for name in names if name != ".lock")  # which guards the directory itself

    def processes(self) -> list[int]:
        """The processes of its servers, as far as the system tells."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cwd"):
            with suppress(OSError):  # it has just ended
                if path.readlink().is_relative_to(self.servers):
                    found.append(int(path.parent.name))
        return found

    def clean_up(self) -> None:
        """Removes all its servers, and sees to it that no process is left."""
        names = [name for name in self.left() if not name.startswith(".")]
        if names:
            self("rm", "--force", "--engine", "local", *names)
        eventually(lambda: not self.processes())

    @staticmethod
    def command(arguments: tuple[str | Path, ...]) -> list[str]:
        return [sys.executable, "-m", "tfserve", *map(str, arguments)]


def eventually(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Returns once `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def assert_told(done: CompletedProcess[str], code: int, *words: str) -> None:
    """Asserts that a command failed the way a user is to see it: a code, a sentence with `words`, a hint."""
    assert done.returncode == code, (done.returncode, done.stderr)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "Error: " in done.stderr
    assert "Hint: " in done.stderr
    for word in words:
        assert word in done.stderr

"""The program as a user runs it: real processes, with a home directory and servers of their own."""

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

__all__ = ["Copy", "Plan", "Program", "assert_error", "eventually"]

Copy = Callable[[str], Path]
"""Copies the bundled model to a base path with the given name."""

Plan = Callable[..., LaunchPlan]
"""Makes the plan of a server that runs a piece of Python."""

_INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Program:
    """``tfserve`` with a private home directory, a private state directory, and no Docker.

    Attributes:
        home: the home directory, which contains the state directory.
    """

    home: Path

    @property
    def servers(self) -> Path:
        """The directory of its local servers."""
        return self.home / "state" / "tfserve" / "servers"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that it runs with."""
        return {
            **{name: os.environ[name] for name in _INHERITED if name in os.environ},
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "DOCKER_HOST": f"unix://{self.home}/no-docker.sock",
            "PYTHONUNBUFFERED": "1",
        }

    def __call__(self, *arguments: str | Path, stdin: str | None = None, **environment: str) -> CompletedProcess[str]:
        """Runs it and waits until it exits.

        With `environment`, added to its own, it runs in a new interpreter, as some variables only work at its start.
        """
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

    def start(self, *arguments: str | Path, stdout: int = PIPE, **environment: str) -> Popen[str]:
        """Starts it and returns; its stdout is a pipe, or the file descriptor `stdout`."""
        return Popen(
            self.command(arguments),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=PIPE,
            text=True,
            env={**self.environment, **environment},
        )

    def json(self, *arguments: str | Path) -> Any:
        """Runs it with ``--json`` and returns the document on its stdout."""
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def server_names(self) -> list[str]:
        """The names of everything in the directory of servers, including partly created ones."""
        names = [path.name for path in self.servers.iterdir()] if self.servers.is_dir() else []
        return sorted(name for name in names if name != ".lock")  # the lock of the directory

    def processes(self) -> list[int]:
        """The process IDs of its servers."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cwd"):
            with suppress(OSError):  # the process has exited
                if path.readlink().is_relative_to(self.servers):
                    found.append(int(path.parent.name))
        return found

    def clean_up(self) -> None:
        """Removes all its servers and waits until none of their processes is left."""
        names = [name for name in self.server_names() if not name.startswith(".")]
        if names:
            self("rm", "--force", "--engine", "local", *names)
        eventually(lambda: not self.processes())

    @staticmethod
    def command(arguments: tuple[str | Path, ...]) -> list[str]:
        return [sys.executable, "-m", "tfserve", *map(str, arguments)]


def eventually(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Waits until `condition` is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"the condition was not met within {seconds:g} s"
        time.sleep(0.01)


def assert_error(done: CompletedProcess[str], code: int, *words: str) -> None:
    """Asserts that a command failed as users expect: with an exit code, a message that contains `words`, and a hint."""
    assert done.returncode == code, (done.returncode, done.stderr)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "Error: " in done.stderr
    assert "Hint: " in done.stderr
    for word in words:
        assert word in done.stderr, f"{word!r} is not in: {done.stderr}"

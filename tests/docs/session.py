"""Runs what a page shows, in order, in a directory of its own."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cached import made_by_script
from tests.docs.compare import matches
from tests.docs.pages import Block, Step
from tests.free_ports import free_ports

__all__ = ["Session", "free_ports_for_pages", "prepare"]

ROOT = Path(__file__).parents[2]
SHOWN_DIRECTORY = "/home/ada"
"""What pages show in place of the directory of a session."""

_DOCKER_SOCKET = Path("/var/run/docker.sock")
_CHANGES_NOTHING = re.compile(r"tfserve (status|predict|models \S+$)")
_WAIT_SECONDS = 10.0
_FILE_NAME = re.compile(r"# (\S+\.yaml)\n")


def prepare(directory: Path, *, everything: bool) -> None:
    """Fills a directory with the examples and, with `everything`, the models and the image that the topics use."""
    for name in ("examples", "configs"):
        shutil.copytree(ROOT / name, directory / name)
    if not everything:
        return
    examples = directory / "examples"
    shutil.copytree(examples / "half_plus_two", directory / "my_model")
    for version in ("2", "3"):
        shutil.copytree(examples / "half_plus_n" / version, directory / "my_model" / version)
    shutil.copytree(examples / "half_plus_two", directory / "other_model")
    made = made_by_script(Path(__file__).with_name("make_image_model.py"))
    shutil.copytree(made / "brightness", directory / "brightness")
    shutil.copy(made / "cat.jpg", directory)


def free_ports_for_pages() -> dict[str, str]:
    """Returns variables with free ports, for the pages that choose ports with these variables."""
    production, staging = map(str, free_ports(2))
    return {"PRODUCTION_PORT": production, "STAGING_PORT": staging}


@dataclass(frozen=True)
class Session:
    """A shell in a directory, for the commands of one page.

    Attributes:
        directory: the working directory and the home directory.
        environment: the variables of the commands; ``tfserve`` is added to its PATH.
        docker: whether they use Docker.
    """

    directory: Path
    environment: Mapping[str, str]
    docker: bool = False

    def run(self, step: Step) -> tuple[int, list[str]]:
        """Runs a command, and returns its exit code and the lines of its output, stderr among them.

        A server takes a second to notice a new version. A command that changes nothing is therefore repeated until it
        prints what the page shows, for up to ten seconds.
        """
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            code, output = self._once(step.command)
            if step.output is None or matches(step.output, output) or not _CHANGES_NOTHING.match(step.command):
                return code, output
            if time.monotonic() > deadline:
                return code, output
            time.sleep(0.3)

    def _once(self, command: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.directory,
            env=self.variables(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
        text = done.stdout.decode(errors="replace").replace(str(self.directory), SHOWN_DIRECTORY)
        return done.returncode, text.rstrip("\n").splitlines()

    def write(self, block: Block) -> None:
        """Writes a ``yaml`` block into the file that its first line names in a comment, else into tfserve.yaml."""
        named = _FILE_NAME.match(block.text)
        (self.directory / (named[1] if named else "tfserve.yaml")).write_text(block.text)

    def python(self, block: Block) -> list[tuple[str, str]]:
        """Runs a ``python`` block, and returns each comment behind an expression with the value of that expression."""
        tree = _Recorded(block.text).visit(ast.parse(block.text))
        program = (
            "import json\n_values = []\ndef _record(comment, value):\n    _values.append((comment, repr(value)))\n"
        )
        program += f"{ast.unparse(ast.fix_missing_locations(tree))}\nprint(json.dumps(_values))\n"
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=self.directory,
            env=self.variables(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [(comment, value) for comment, value in json.loads(done.stdout.splitlines()[-1])]

    def variables(self) -> dict[str, str]:
        """Returns the variables of a command, with ``tfserve`` on its PATH."""
        programs = self.directory / ".bin"
        if not programs.exists():
            programs.mkdir()
            script = programs / "tfserve"
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tfserve "$@"\n')
            script.chmod(0o755)
        path = f"{programs}{os.pathsep}{self.environment['PATH']}"
        python_path = f"{ROOT}{os.pathsep}{self.environment.get('PYTHONPATH', '')}".rstrip(os.pathsep)
        variables = {**self.environment, "PATH": path, "PYTHONPATH": python_path, "HOME": str(self.directory)}
        if not self.docker and not _DOCKER_SOCKET.exists():
            del variables["DOCKER_HOST"]  # as on most machines without Docker
        return variables


class _Recorded(ast.NodeTransformer):
    """Makes a program record the value of each expression that has a comment behind it."""

    def __init__(self, source: str) -> None:
        self.lines = source.splitlines()

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        _, separator, comment = self.lines[(node.end_lineno or node.lineno) - 1].partition("  # ")
        if not separator:
            return node
        call = ast.Call(ast.Name("_record", ast.Load()), [ast.Constant(comment), node.value], [])
        return ast.Expr(call)

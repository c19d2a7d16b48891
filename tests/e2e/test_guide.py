"""The table that compares the commands of TensorFlow Serving's guide with tfserve's: each command in it is run.

They run on an engine of their own, so that their names are free; its runtime for GPUs is runc.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from tests.nvidia.stub import Card, environment, real_gpu
from tfserve.docs import read_topic

from .conftest import StartEngine, Tfserve
from .terminal import Terminal
from .test_build import SOURCES

ROOT = Path(__file__).parents[2]
TITLE = "| TensorFlow Serving with Docker | tfserve |\n| --- | --- |\n"
SECOND_CELL = re.compile(r"^\|.*\| (.*) \|$", re.MULTILINE)
COMMAND = re.compile(r"`(tfserve [^`]+)`")
CONFIG = 'model_config_list { config { name: "my_model" base_path: "%s" model_platform: "tensorflow" } }'
MAKES = {
    "my_image": "tfserve package ./my_model --image my_image",
    "my_serving:1": "tfserve build --source ./serving --image my_serving:1",
    "my_serving:1-devel": "tfserve build --source ./serving --image my_serving:1",
}


def commands() -> list[str]:
    """All commands of tfserve in the table, each once."""
    table = read_topic("guide").partition(TITLE)[2].partition("\n\n")[0]
    return list(dict.fromkeys(command for cell in SECOND_CELL.findall(table) for command in COMMAND.findall(cell)))


@dataclass(frozen=True)
class Desk:
    """The place where the commands are typed.

    Attributes:
        directory: contains the files that the commands name.
        tfserve: the program.
        engine: the variables with which it uses an engine of this module only.
        gpu: the same, on a machine with a GPU.
    """

    directory: Path
    tfserve: Tfserve
    engine: Mapping[str, str]
    gpu: Mapping[str, str]

    def type(self, command: str) -> int:
        """Runs a command as it is written, and returns its exit code."""
        arguments = shlex.split(command.replace("/path/to/my/", "./").replace("/path/to/", "./"))[1:]
        env = self.gpu if "--gpu" in arguments else self.engine
        if arguments[0] == "devel" and "--" not in arguments:
            return exit_code_of_a_shell(Terminal(self.tfserve, *arguments, env=env))
        if arguments[:2] == ["logs", "-f"]:
            return exit_code_when_ended(self.tfserve, arguments, env)
        return self.tfserve(*arguments, env=env).returncode

    def prepare(self, command: str) -> None:
        """Creates the servers and images that a command uses, and removes those that it creates."""
        verb, *words = shlex.split(command)[1:]
        client = docker.DockerClient(base_url=self.engine["DOCKER_HOST"])
        have = {tag for image in client.images.list() for tag in image.tags}
        if verb in ("package", "build"):
            for tag in have:
                if tag.startswith("my_"):
                    client.images.remove(tag, force=True)
        elif needed := [word for word in words if word in MAKES and not have & {word, f"{word}:latest"}]:
            assert self.type(MAKES[needed[0]]) == 0
        client.close()
        if verb in ("predict", "status", "metadata", "logs", "stop", "rm"):
            name = next(word for word in words if word in ("my_model", "half_plus_two"))
            assert self.type(f"tfserve run ./my_model --name {name}") == 0
            if verb == "rm":
                assert self.type(f"tfserve stop {name}") == 0

    def clear(self) -> None:
        """Removes all servers."""
        servers = json.loads(self.tfserve("ps", "--json", env=self.engine).stdout)
        if servers:
            self.tfserve("rm", "--force", *(server["name"] for server in servers), env=self.engine)


@pytest.fixture(scope="module")
def host(start_engine: StartEngine) -> str:
    return start_engine({"runtimes": {"nvidia": {"path": str(shutil.which("runc"))}}}).host


@pytest.fixture
def desk(host: str, nvml: Path, tfserve: Tfserve, tmp_path: Path) -> Iterator[Desk]:
    for example in ("half_plus_two", "half_plus_two_gpu"):
        shutil.copytree(ROOT / "examples" / example, tmp_path / "examples" / example)
    shutil.copytree(tmp_path / "examples" / "half_plus_two", tmp_path / "my_model")
    shutil.copytree(SOURCES, tmp_path / "serving")
    (tmp_path / "models.config").write_text(CONFIG % (tmp_path / "my_model"))
    engine = {"DOCKER_HOST": host}
    made = Desk(tmp_path, tfserve, engine, {**engine, **({} if real_gpu() else environment(nvml, Card()))})
    yield made
    made.clear()


def exit_code_of_a_shell(terminal: Terminal) -> int:
    try:
        terminal.wait_for("# ")
        terminal.type(b"exit 0\r")
        return terminal.process.wait(timeout=30)
    finally:
        terminal.close()


def exit_code_when_ended(tfserve: Tfserve, arguments: list[str], env: Mapping[str, str]) -> int:
    """Returns 0 for a command that does not exit, once it has printed something."""
    process = tfserve.start(*arguments, env=env)
    try:
        assert process.stdout is not None
        return 0 if process.stdout.readline() else process.wait(timeout=30)
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_the_table_is_found() -> None:
    assert len(commands()) > 25


@pytest.mark.parametrize("command", commands())
def test_a_command(command: str, desk: Desk) -> None:
    desk.prepare(command)
    needs_a_gpu = command == "tfserve demo --gpu" and not real_gpu()
    assert desk.type(command) == (7 if needs_a_gpu else 0)

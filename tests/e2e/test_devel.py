"""``tfserve devel`` on a real engine, with a terminal and without; no container is left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from tests.program import assert_error, eventually

from .conftest import Tfserve
from .terminal import Terminal

NO_PORT = ("--grpc-port", "none")

pytestmark = pytest.mark.usefixtures("own_engine")


@pytest.fixture(autouse=True)
def nothing_stays(docker_client: DockerClient) -> Iterator[None]:
    before = [found["Id"] for found in containers(docker_client)]  # of other programs
    yield
    assert [found for found in containers(docker_client) if found["Id"] not in before] == []


def containers(client: DockerClient) -> list[Any]:
    return list(client.api.containers(all=True, filters={"name": "tfserve-devel-"}))


def test_output_and_exit_code_are_those_of_the_command(tfserve: Tfserve) -> None:
    done = tfserve("devel", *NO_PORT, "--", "bash", "-c", "pwd; echo -n oops >&2; exit 3")
    assert (done.returncode, done.stdout) == (3, "/tensorflow-serving\n")
    assert done.stderr.endswith("oops")


def test_every_byte_arrives(tfserve: Tfserve) -> None:
    done = tfserve("devel", *NO_PORT, "--", "seq", "100000")
    assert done.stdout == "".join(f"{number}\n" for number in range(1, 100_001))


def test_stdin_arrives_with_its_end(tfserve: Tfserve) -> None:
    text = "".join(f"{number}\n" for number in range(100_000))
    assert tfserve("devel", *NO_PORT, "--", "cat", stdin=text).stdout == text
    assert tfserve("devel", *NO_PORT, "--", "wc", "-c").stdout == "0\n"


def test_a_command_that_ends_before_its_input(tfserve: Tfserve) -> None:
    arguments = [sys.executable, "-m", "tfserve", "devel", *NO_PORT, "--", "bash", "-c", "read x; echo got $x"]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=tfserve.environment, cwd=tfserve.directory
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"one\n")
        process.stdin.flush()
        assert process.stdout.read() == b"got one\n"
        assert process.wait(timeout=30) == 0


@pytest.fixture
def serving(docker_client: DockerClient, unique_name: Callable[..., str]) -> Iterator[str]:
    """A serving image under a name that does not belong to an official development image."""
    image = unique_name("serving")
    docker_client.images.get("tensorflow/serving:latest").tag(image, "1")
    yield f"{image}:1"
    docker_client.images.remove(f"{image}:1")  # only this name, as the official one is kept


def test_a_serving_image_runs_the_command(serving: str, tfserve: Tfserve) -> None:
    done = tfserve("devel", "--image", serving, *NO_PORT, "--", "echo", "hello")
    assert (done.returncode, done.stdout) == (0, "hello\n")
    absent = tfserve("devel", "--image", serving, *NO_PORT, "--", "no-such-command")
    assert_error(
        absent, 127, "does not contain the command 'no-such-command'", f"tfserve devel --image {serving} -- bash -c"
    )


def test_sources_are_mounted_writable(tfserve: Tfserve, tmp_path: Path) -> None:
    source = tmp_path / "my sources"
    source.mkdir()
    (source / "WORKSPACE").write_text("here")
    done = tfserve("devel", "--source", source, *NO_PORT, "--", "bash", "-c", "cat WORKSPACE; touch made")
    assert (done.returncode, done.stdout) == (0, "here")
    assert (source / "made").exists()


def test_the_grpc_port_is_open(tfserve: Tfserve, docker_client: DockerClient) -> None:
    process = tfserve.start("devel", "--grpc-port", "0", "--", "sleep", "60")
    eventually(lambda: [found for found in containers(docker_client) if found["State"] == "running"])
    (port,) = containers(docker_client)[0]["Ports"]
    assert (port["PrivatePort"], port["IP"]) == (8500, "127.0.0.1")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 143


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("no-such-command", 127, "does not contain the command 'no-such-command'"),
        ("/no/such/file", 127, "does not contain the command '/no/such/file'"),
        ("/etc/passwd", 126, "cannot run '/etc/passwd'"),
    ],
)
def test_a_command_that_cannot_be_run(command: str, code: int, words: str, tfserve: Tfserve) -> None:
    assert_error(tfserve("devel", *NO_PORT, "--", command), code, words)


def test_a_reader_that_closes_the_pipe(tfserve: Tfserve) -> None:
    process = tfserve.start("devel", *NO_PORT, "--", "yes")
    assert process.stdout is not None
    assert process.stdout.readline() == "y\n"
    process.stdout.close()
    assert process.wait(timeout=30) == 0


def test_an_image_that_cannot_be_pulled(tfserve: Tfserve) -> None:
    assert_error(tfserve("devel", "--image", "127.0.0.1:9/no/devel", *NO_PORT, "--", "ls"), 5, "could not be pulled")


@pytest.fixture
def terminal(tfserve: Tfserve) -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def make(*arguments: str) -> Terminal:
        made.append(Terminal(tfserve, *arguments))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_shell_on_a_terminal(terminal: Callable[..., Terminal]) -> None:
    shell = terminal("devel", *NO_PORT)
    shell.wait_for("# ")
    shell.type(
        b"until stty size | grep 33.77; do sleep 0.1; done; sleep 60\r"
    )  # the engine sets the size after the start
    shell.wait_for("33 77")
    shell.resize(44, 88)
    shell.process.send_signal(signal.SIGWINCH)  # which the kernel sends if the terminal is that of its session
    shell.type(b"\x03")  # Ctrl-C: only interrupts the command in the shell
    shell.type(b"until stty size | grep 44.88; do sleep 0.1; done; echo $((6 * 7))-\r")
    shell.wait_for("44 88")
    shell.wait_for("42-")
    shell.type(b"\x10\r")  # Ctrl-P reaches the shell, too: the previous line
    shell.wait_for("42-")
    shell.type(b"exit 5\r")
    assert shell.process.wait(timeout=30) == 5
    assert shell.read_settings() == shell.settings


def test_a_serving_image_runs_a_shell(serving: str, terminal: Callable[..., Terminal]) -> None:
    shell = terminal("devel", "--image", serving, *NO_PORT)
    shell.wait_for("# ")
    shell.type(b"exit 6\r")
    assert shell.process.wait(timeout=30) == 6


def test_a_missing_command_on_a_terminal(terminal: Callable[..., Terminal]) -> None:
    shell = terminal("devel", *NO_PORT, "--", "no-such-command")
    assert shell.process.wait(timeout=30) == 127
    shell.wait_for("no-such-command")
    assert shell.read_settings() == shell.settings


def test_a_terminal_that_is_closed(terminal: Callable[..., Terminal]) -> None:
    shell = terminal("devel", *NO_PORT)
    shell.wait_for("# ")
    shell.process.send_signal(signal.SIGHUP)
    assert shell.process.wait(timeout=30) == 129

"""``tfserve devel`` on a real engine: with a terminal and without, and that no container stays."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
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
    before = [found["Id"] for found in containers(docker_client)]  # somebody else's
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


def test_what_is_piped_in_arrives_with_its_end(tfserve: Tfserve) -> None:
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
    """The name of a serving image, which no rule for official names makes a development image of."""
    image = unique_name("serving")
    docker_client.images.get("tensorflow/serving:latest").tag(image, "1")
    yield f"{image}:1"
    docker_client.images.remove(f"{image}:1")  # this name alone, as the official one stays


def test_an_image_that_would_serve_runs_the_command(serving: str, tfserve: Tfserve) -> None:
    done = tfserve("devel", "--image", serving, *NO_PORT, "--", "echo", "hello")
    assert (done.returncode, done.stdout) == (0, "hello\n")
    absent = tfserve("devel", "--image", serving, *NO_PORT, "--", "no-such-command")
    assert_error(
        absent, 127, "does not contain the command 'no-such-command'", f"tfserve devel --image {serving} -- bash -c"
    )


def test_sources_are_mounted_to_be_written(tfserve: Tfserve, tmp_path: Path) -> None:
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
def test_a_command_that_is_none(command: str, code: int, words: str, tfserve: Tfserve) -> None:
    assert_error(tfserve("devel", *NO_PORT, "--", command), code, words)


def test_a_reader_that_has_enough(tfserve: Tfserve) -> None:
    process = tfserve.start("devel", *NO_PORT, "--", "yes")
    assert process.stdout is not None
    assert process.stdout.readline() == "y\n"
    process.stdout.close()
    assert process.wait(timeout=30) == 0


def test_an_image_that_cannot_be_had(tfserve: Tfserve) -> None:
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
    shell.type(b"stty size; sleep 60\r")
    shell.wait_for("33 77")
    shell.resize(44, 88)
    shell.process.send_signal(signal.SIGWINCH)  # which it would get by itself if the terminal were that of its session
    time.sleep(0.2)  # for the engine to hear of it
    shell.type(b"\x03")  # Ctrl-C: ends what runs in the shell, and nothing else
    shell.type(b"stty size; echo $((6 * 7))-\r")
    shell.wait_for("44 88")
    shell.wait_for("42-")
    shell.type(b"\x10\r")  # Ctrl-P is the shell's, too: the line before
    shell.wait_for("42-")
    shell.type(b"exit 5\r")
    assert shell.process.wait(timeout=30) == 5
    assert shell.read_settings() == shell.settings


def test_an_image_that_would_serve_gives_a_shell(serving: str, terminal: Callable[..., Terminal]) -> None:
    shell = terminal("devel", "--image", serving, *NO_PORT)
    shell.wait_for("# ")
    shell.type(b"exit 6\r")
    assert shell.process.wait(timeout=30) == 6


def test_a_command_that_is_none_on_a_terminal(terminal: Callable[..., Terminal]) -> None:
    shell = terminal("devel", *NO_PORT, "--", "no-such-command")
    assert shell.process.wait(timeout=30) == 127
    shell.wait_for("no-such-command")
    assert shell.read_settings() == shell.settings


def test_a_terminal_that_is_closed(terminal: Callable[..., Terminal]) -> None:
    shell = terminal("devel", *NO_PORT)
    shell.wait_for("# ")
    shell.process.send_signal(signal.SIGHUP)
    assert shell.process.wait(timeout=30) == 129

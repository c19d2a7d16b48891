"""``tfserve help``: the help of a command, the list of topics, and a topic in a pipe or on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess

import pytest

from tests.program import Program, assert_error
from tfserve.cli.command_table import COMMANDS
from tfserve.docs import DIRECTORY, TOPICS, read_topic


@pytest.mark.parametrize("command", ["logs", "models", "help"])
def test_help_of_a_command(tfserve: Program, command: str) -> None:
    done = tfserve("help", command)
    assert (done.returncode, done.stdout) == (0, tfserve(command, "--help").stdout)


def test_list_of_topics(tfserve: Program) -> None:
    done = tfserve("help")
    assert (done.returncode, done.stderr) == (0, "")
    listed = done.stdout.partition("Topics:\n")[2].partition("\n\n")[0].splitlines()
    assert [tuple(line.split(maxsplit=1)) for line in listed] == list(TOPICS.items())
    assert "tfserve help COMMAND" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_list_of_topics_imports_no_large_modules(tfserve: Program) -> None:
    process = subprocess.run(
        [*tfserve.command(("help",))[:1], "-X", "importtime", "-m", "tfserve", "help"],
        env=tfserve.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in process.stderr.splitlines()}
    assert not loaded & {"rich", "docker", "requests", "tfserve.engines"}


@pytest.mark.parametrize("topic", TOPICS)
def test_topic_in_a_pipe(tfserve: Program, topic: str) -> None:
    done = tfserve("help", topic)
    assert (done.returncode, done.stdout, done.stderr) == (0, read_topic(topic), "")


@pytest.mark.parametrize("topic", TOPICS)
def test_topic_output_on_a_terminal(tfserve: Program, topic: str) -> None:
    text = output_on_a_terminal(tfserve, "help", topic)
    title = read_topic(topic).partition("# ")[2].partition("\n")[0]
    assert "\x1b[" in text
    assert title in text
    assert "\n# " not in text
    assert ".md)" not in text


def output_on_a_terminal(program: Program, *arguments: str) -> str:
    """The output of a command on a terminal of 120 columns."""
    controller, terminal = pty.openpty()
    environment = {**program.environment, "TERM": "xterm-256color", "COLUMNS": "120"}
    process = subprocess.Popen(program.command(arguments), stdin=terminal, stdout=terminal, env=environment)
    os.close(terminal)
    shown = b""
    try:
        while data := os.read(controller, 65536):
            shown += data
    except OSError:  # the last process that had the terminal open has exited
        pass
    os.close(controller)
    assert process.wait(timeout=20) == 0
    return shown.decode()


@pytest.mark.parametrize(
    ("typed", "meant"), [("lgos", "tfserve help logs"), ("tfserve.yaml", "tfserve help tfserve-yaml"), ("zzz", "")]
)
def test_unknown_name(tfserve: Program, typed: str, meant: str) -> None:
    assert_error(tfserve("help", typed), 2, f"No command or topic is named '{typed}'.", meant or "tfserve --help")


def test_every_page_is_a_topic() -> None:
    assert {file.stem for file in DIRECTORY.glob("*.md")} == set(TOPICS)
    assert not TOPICS.keys() & COMMANDS.keys()  # NAME in tfserve help NAME must be unique

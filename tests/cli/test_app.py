from __future__ import annotations

import inspect
import os
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import tfserve as package
from tests.program import Program, assert_error
from tfserve import cli
from tfserve.cli.command_table import COMMANDS, TASKS, Command
from tfserve.cli.inference import refuse_unknown_options
from tfserve.spec.server_flags import parse_server_flags


def test_version(tfserve: Program) -> None:
    done = tfserve("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"tfserve {package.__version__}\n", "")


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_every_command_by_task(tfserve: Program, option: str) -> None:
    done = tfserve(option)
    assert (done.returncode, done.stderr) == (0, "")
    for task, commands in TASKS.items():
        listed = done.stdout.partition(f"\n{task}:\n")[2].partition("\n\n")[0].splitlines()
        assert [line.split(maxsplit=1) for line in listed] == [[name, commands[name].summary] for name in commands]


@pytest.mark.parametrize("command", COMMANDS.values())
def test_summary_matches_the_docstring(command: Command) -> None:
    function = getattr(import_module(f"tfserve.cli.commands.{command.module}"), command.function)
    assert str(inspect.getdoc(function)).startswith(command.summary)


def test_help_is_shown_without_a_command(tfserve: Program) -> None:
    done = tfserve()
    assert done.returncode == 2
    assert "Serve a model:" in done.stdout + done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_examples(name: str) -> None:
    done = CliRunner().invoke(cli.build_app([name]), [name, "--help"])
    assert done.exit_code == 0
    assert f"{name} [OPTIONS]" in done.output
    shown = [line.strip() for line in done.output.partition("Examples:")[2].splitlines() if line.strip()]
    assert tuple(shown) == COMMANDS[name].examples
    assert len(shown) >= 2


@pytest.mark.parametrize(
    ("name", "example"), [(name, example) for name in COMMANDS for example in COMMANDS[name].examples]
)
def test_every_example_is_valid(name: str, example: str) -> None:
    program, typed, *arguments = shlex.split(example.partition(" > ")[0])
    assert (program, typed) == ("tfserve", name)
    group: Any = typer.main.get_command(cli.build_app([name]))
    parsed = group.commands[name].make_context(name, arguments)
    if COMMANDS[name].takes_negative_numbers:
        refuse_unknown_options(parsed.params["words"], parsed)
    elif name == "run":
        parse_server_flags([word for word in parsed.params["words"] if word.startswith("--")])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve"], "No such command 'serve'"),
        (["statsu"], "No such command 'statsu'. Did you mean tfserve status?"),
        (["\x1b[1m"], r"No such command '\x1b[1m'. tfserve --help lists them."),
        (["--verson"], "No such option: --verson. Did you mean --version?"),
        (["ps", "--engin=local"], "No such option: --engin. Did you mean --engine?"),
        (["run", "m", "--engine=dockr"], "'dockr' is not one of 'auto', 'docker', 'local'. Did you mean docker?"),
        (["models", "m", "lable"], "'remove', 'label', 'pin', 'rollback'. Did you mean label?"),
        (["run", "m", "--engine=zzz"], "'zzz' is not one of 'auto', 'docker', 'local'."),
        (["run", "m", "--nogpu"], "No such option: --nogpu. Did you mean --no-gpu?"),
        (["run"], "MODEL_DIR"),
        (["run", "m", "--enable_batching=true"], "No such option"),
        (["ps", "--engine", "podman"], "'podman'"),
        (["run", "m", "--wait", "-1"], "--wait"),
        (["run", "m", "--pull", "sometimes"], "'sometimes'"),
    ],
)
def test_bad_usage(tfserve: Program, arguments: list[str], words: str) -> None:
    done = tfserve(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_traceback_is_shown_with_tfserve_debug(tfserve: Program) -> None:
    assert_error(tfserve("inspect", "nope", TFSERVE_DEBUG="0"), 3, "There is no model")
    done = tfserve("inspect", "nope", TFSERVE_DEBUG="1")
    assert done.returncode == 3
    assert "Traceback" in done.stderr
    assert "SavedModelError" in done.stderr
    assert "Hint:" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["ps", "--engine", "local"]])
def test_full_disk(tfserve: Program, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        process = tfserve.start(*arguments, stdout=full.fileno())
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "The output cannot be written: No space left on device." in stderr
    assert "Traceback" not in stderr


def test_unexpected_error(tfserve: Program, half_plus_two: Path) -> None:
    run = ("run", half_plus_two, "--engine", "local", "--rest-port", "0", "--grpc-port", "0", "--wait", "0")
    assert tfserve(*run).returncode == 0
    log = tfserve.servers / "half_plus_two" / "server.log"
    log.unlink()
    log.mkdir()
    done = tfserve("logs")
    assert_error(done, 1, "Unexpected IsADirectoryError", "bug in tfserve", "TFSERVE_DEBUG=1")


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["ps", "--engine", "local"], ["ps", "--engine", "local", "--json"], ["inspect", "{model}", "--json"]],
)
def test_closed_pipe(tfserve: Program, half_plus_two: Path, arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    given = [argument.replace("{model}", str(half_plus_two)) for argument in arguments]
    process = tfserve.start(*given, stdout=writer)
    os.close(writer)
    _, stderr = process.communicate(timeout=20)
    assert stderr == ""
    assert process.returncode in (0, 1)  # click exits with 1 if its help cannot be written

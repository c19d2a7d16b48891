"""Completion, called the way the completion functions of the shells call it."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import forked
from tests.cli.conftest import Served
from tests.program import Program
from tfserve.cli import completion

SIGNATURES = ["regress_x2_to_y3", "regress_x_to_y", "regress_x_to_y2"]


def completions(program: Program, shell: str, line: str) -> str:
    """The output for `shell` when Tab is pressed after `line`; a space at the end of the line begins a new word."""
    variables = {"_TFSERVE_COMPLETE": f"complete_{shell}"}
    if shell == "bash":
        words = [*line.split(" ")]
        variables |= {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    else:
        variables |= {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = forked.run([], {**program.environment, **variables})
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("tfserve re", ["regress", "restart"]),
        ("tfserve --ver", ["--version"]),
        ("tfserve zzz", []),
        ("tfserve run --rest", ["--rest-port", "--restart"]),
        ("tfserve zzz --rest", []),
        ("tfserve logs ", ["half_plus_two"]),
        ("tfserve logs half", ["half_plus_two"]),
        ("tfserve logs x", []),
        ("tfserve logs --engine docker ", []),
        ("tfserve stop ", ["half_plus_two"]),
        ("tfserve stop half_plus_two ", []),
        ("tfserve start ", []),
        ("tfserve metadata ", ["half_plus_two"]),
        ("tfserve predict h", ["half_plus_two"]),
        ("tfserve predict half_plus_two h", []),
        ("tfserve predict half_plus_two 1 --signature ", ["serving_default"]),
        ("tfserve regress -s ", SIGNATURES),
        ("tfserve regress half_plus_two x=1.0 --signature regress_x_", SIGNATURES[1:]),
        ("tfserve regress other --url http://127.0.0.1:1 -s ", []),
        ("tfserve ps --engine ", ["auto", "docker", "local"]),
        ("tfserve ps --engine l", ["local"]),
        ("tfserve ps --engine=l", ["local"]),
        ("tfserve ps --engine = l", ["local"]),  # bash splits --engine=l into these words
        ("tfserve predict --api g", ["grpc"]),
        ("tfserve run --tag l", ["latest"]),
        ("tfserve cache c", ["clear"]),
        ("tfserve models half_plus_two p", ["pin"]),
        ("tfserve models half_plus_two pin ", ["half_plus_two"]),
        ("tfserve models half_plus_two add ", []),
        ("tfserve run m -- --enable_b", ["--enable_batching"]),
        ("tfserve run m -- ", []),
        ("tfserve up ", []),
        ("tfserve help log", ["logs"]),
        ("tfserve help tf", ["tfserve-yaml"]),
        ("tfserve logs 'half", None),
    ],
)
def test_names_in_bash(served: Served, line: str, names: list[str] | None) -> None:
    completed = completions(served.tfserve, "bash", line).split()
    if names is not None:
        assert completed == names


def test_signatures_are_those_of_the_named_server(tfserve: Program, half_plus_two: Path, half_plus_n: Path) -> None:
    options = ("--engine", "local", "--rest-port", "0", "--grpc-port", "0")
    assert tfserve("run", half_plus_two, "--name", "one", *options).returncode == 0
    assert tfserve("run", half_plus_n, f"{half_plus_two}=other", "--name", "two", *options).returncode == 0
    for line, names in (
        ("tfserve regress one --signature ", SIGNATURES),
        ("tfserve regress one x=1.0 -s regress_x_", SIGNATURES[1:]),
        ("tfserve regress one --signature=regress_x_", SIGNATURES[1:]),
        ("tfserve regress two/other -s regress_x2", SIGNATURES[:1]),
        ("tfserve regress --signature ", []),
        ("tfserve predict two/", ["two/half_plus_n", "two/other"]),
        ("tfserve predict o", ["one", "other"]),
    ):
        assert completions(tfserve, "bash", line).split() == names, line


def test_servers_of_a_yaml_file(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "servers.yaml"
    file.write_text("servers: {one: {models: [{path: m, name: a}]}, two: {models: [{path: m, name: b}]}}")
    for command in ("up", "down", "config"):
        assert completions(served.tfserve, "bash", f"tfserve {command} --file {file} ").split() == ["one", "two"]
    assert completions(served.tfserve, "bash", f"tfserve up --file {file} one ").split() == ["two"]


def test_names_in_zsh(served: Served) -> None:
    assert completions(served.tfserve, "zsh", "tfserve logs ") == """_arguments '*: :(("half_plus_two"))'\n"""
    assert '"rm":"Remove servers, with their logs."' in completions(served.tfserve, "zsh", "tfserve r")
    assert "[default\\\\: serving_default]" in completions(served.tfserve, "zsh", "tfserve predict --sig")
    assert completions(served.tfserve, "zsh", "tfserve run ") == "_files\n"


def test_names_in_fish(served: Served) -> None:
    assert completions(served.tfserve, "fish", "tfserve predict -s ") == "serving_default\n"
    assert "rm\tRemove servers, with their logs.\n" in completions(served.tfserve, "fish", "tfserve r")


@pytest.fixture
def on_path(served: Served, tmp_path: Path) -> dict[str, str]:
    """Environment variables with which ``tfserve`` is on the PATH."""
    program = tmp_path / "bin" / "tfserve"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tfserve "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    environment = served.tfserve.environment
    return {**environment, "PATH": f"{program.parent}:{environment['PATH']}"}


def script(shell: str, environment: dict[str, str]) -> str:
    """The completion script for `shell`."""
    variables = {**environment, "_TFSERVE_COMPLETE": f"source_{shell}"}
    return subprocess.run(["tfserve"], env=variables, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash was not found")
def test_completion_script_for_bash(on_path: dict[str, str]) -> None:
    lines = f"""{script("bash", on_path)}
    complete -p tfserve
    COMP_WORDS=(tfserve predict --signature = serv) COMP_CWORD=4
    _tfserve_completion tfserve; echo "${{COMPREPLY[@]}}"
    COMP_WORDS=(tfserve logs "") COMP_CWORD=2
    _tfserve_completion tfserve; echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "--norc", "-c", lines], env=on_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "complete -o default -F _tfserve_completion tfserve",
        "serving_default",
        "half_plus_two",
    ]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish was not found")
def test_completion_script_for_fish(on_path: dict[str, str]) -> None:
    lines = f"{script('fish', on_path)}\ncomplete -C 'tfserve logs h'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", lines], env=on_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("half_plus_two\n", "")


def test_names_that_need_quoting_are_omitted() -> None:
    def names(_: object) -> Iterator[str]:
        yield from ("a", "$(reboot)", "b`", "c d", "e\n", "é*", "", "tensorflow/serving", "a")

    context: Any = None
    assert completion._completer(names)(context, "") == ["a", "tensorflow/serving"]
    assert completion._completer(names)(context, "t") == ["tensorflow/serving"]


def test_an_error_is_silent() -> None:
    def names(_: object) -> Iterator[str]:
        yield "a"
        raise OSError

    context: Any = None
    assert completion._completer(names)(context, "") == ["a"]


def test_time_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    def names(_: object) -> Iterator[str]:
        yield "a"
        try:
            threading.Event().wait()
        except Exception:  # must not catch the end of the time limit
            yield "b"

    monkeypatch.setattr(completion, "_SECONDS", 1)  # long enough for the first name on any machine
    context: Any = None
    assert completion._completer(names)(context, "") == ["a"]

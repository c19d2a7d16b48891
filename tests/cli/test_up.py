"""``tfserve up`` and ``down``, ``config``, ``init`` and ``schema``, with real servers."""

from __future__ import annotations

import json
import shutil
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.program import Copy, Program, assert_told, eventually

FILE = """
defaults: {engine: local, rest_port: 0, grpc_port: none, smoke_test: false}
servers:
  one:
    models: [./m]
    env: {SECRET: "${SECRET:-a}", AWS_REGION: x}  # the latter is written down nowhere
  two:
    models: [{path: ./m, name: a}, {path: ./m, name: b}]
"""


@pytest.fixture
def directory(half_plus_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a file of two servers and their model."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(half_plus_two, tmp_path / "m")
    (tmp_path / "tfserve.yaml").write_text(FILE)
    return tmp_path


def actions(said: Any) -> dict[str, str]:
    return {server["name"]: server["action"] for server in said}


def test_only_what_has_changed_is_touched(tfserve: Program, directory: Path) -> None:
    said = {server["name"]: server for server in tfserve.json("up")}
    assert actions(said.values()) == {"one": "create", "two": "create"}
    assert [server["health"] for server in said.values()] == ["available"] * 2
    assert tfserve.json("predict", "two/b", "1") == {"predictions": [2.5]}
    again = tfserve.json("up")
    assert actions(again) == {"one": "leave", "two": "leave"}
    assert {server["name"]: server["pid"] for server in again} == {name: s["pid"] for name, s in said.items()}
    changed = tfserve("up", "--json", SECRET="b")  # in no label, and seen all the same
    assert actions(json.loads(changed.stdout)) == {"one": "recreate", "two": "leave"}
    assert "one: recreate (env changed)" in changed.stderr
    assert tfserve("stop", "two").returncode == 0
    done = tfserve("up", "two")
    assert done.stderr.splitlines()[0] == "two: start"
    assert done.stdout.startswith("two is ready (local, http://127.0.0.1:")
    file = directory / "tfserve.yaml"
    file.write_text(FILE.replace("name: b}]", "name: c}]\n    monitoring: true"))
    dry = tfserve("up", "--dry-run", SECRET="b")
    assert "# one: leave\n# two: recreate (models, monitoring changed)\n" in dry.stdout
    assert actions(tfserve.json("up", "two")) == {"two": "recreate"}
    assert sorted(tfserve.json("down")) == ["one", "two"]
    assert tfserve.left() == []
    done = tfserve("down")
    assert (done.returncode, done.stdout) == (0, "")
    assert "one is not there" in done.stderr


def test_one_that_fails_does_not_hide_the_others(tfserve: Program, directory: Path, unloadable: Path) -> None:
    (directory / "tfserve.yaml").write_text(
        FILE + f"  broken: {{models: ['{unloadable}']}}\n  gone: {{models: [{{path: ./gone, name: g}}]}}\n"
    )
    done = tfserve("up")
    assert done.returncode == 7  # that of the first that failed
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["one", "two"]
    assert "'broken' cannot load its model" in done.stderr
    assert "broken: create\ngone: fail\nWaiting until one, two, broken are ready\n" in done.stderr  # and not gone
    assert "tfserve.yaml, line 10, servers.gone.models[0].path: There is no model at" in done.stderr
    assert tfserve.left() == ["one", "two"]
    done = tfserve("up", "--json")
    assert {s["name"]: s.get("error", {}).get("exit_code") for s in json.loads(done.stdout)} == {
        "one": None,
        "two": None,
        "broken": 7,
        "gone": 3,
    }


def test_a_dry_run_shows_the_plan_of_those_that_can_be(tfserve: Program, directory: Path) -> None:
    file = directory / "tfserve.yaml"
    file.write_text(
        FILE.replace(
            "servers:\n",
            "servers:\n  gone: {models: [./gone]}\n  labelled:\n    models:\n      "
            "- {path: ./m, labels: {stable: 7}}\n",
        )
    )
    done = tfserve("up", "--dry-run")
    assert done.returncode == 3
    assert [line for line in done.stdout.splitlines() if line.startswith("#")] == [
        *("# gone: fail", "# labelled: fail", "# one: create", "# two: create")
    ]
    assert done.stdout.count("--port=") == 2
    places = ("line 4, servers.gone.models[0]: There is no model", "line 7, servers.labelled.models[0].labels.stable: ")
    assert all(f"tfserve.yaml, {place}" in done.stderr for place in places)
    said = json.loads(tfserve("up", "--dry-run", "--json").stdout)
    assert [step.get("error", {}).get("exit_code") for step in said] == [3, 2, None, None]
    for command in (("config",), ("config", "gone")):
        assert_told(tfserve(*command), 3, f"tfserve.yaml, {places[0]}")
    assert_told(tfserve("config", "labelled"), 2, f"tfserve.yaml, {places[1]}")
    assert tfserve("config", "two").returncode == 0


def test_what_only_the_start_finds_has_its_place_too(tfserve: Program, directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (directory / "tfserve.yaml").write_text(FILE.replace("[./m]", f"[./m]\n    rest_port: {port}"))
        for command in (("up", "one"), ("up", "one", "--dry-run")):
            done = tfserve(*command)
            assert done.returncode == 6
            assert f"tfserve.yaml, line 6, servers.one.rest_port: Port {port} on 127.0.0.1 is taken" in done.stderr
            assert "Choose another rest_port; 0 takes any free one." in done.stderr


def test_down_needs_no_more_than_the_names(tfserve: Program, directory: Path) -> None:
    file = directory / "tfserve.yaml"
    file.write_text(FILE.replace("${SECRET:-a}", "${SECRET:?say it}"))
    assert tfserve("up", "one", SECRET="b").returncode == 0
    assert_told(tfserve("up"), 2, "line 6, servers.one.env.SECRET: the variable SECRET is not set: say it")
    file.write_text(file.read_text().replace("models: [./m]", "modles: [./gone]"))
    assert tfserve.json("down") == ["one"]
    file.write_text("server: {one: {}}")
    assert_told(tfserve("down"), 2, "tfserve.yaml, line 1: the field servers is missing")


def test_an_interrupt_leaves_nothing_half_made(tfserve: Program, directory: Path, hanging: Path) -> None:
    (directory / "tfserve.yaml").write_text(FILE + f"  slow: {{models: ['{hanging}']}}\n")
    process = tfserve.begin("up")
    eventually(lambda: "slow" in tfserve.left() and len(tfserve.processes()) == 3)
    eventually(
        lambda: all(server["health"] == "available" for server in tfserve.json("ps") if server["name"] != "slow")
    )
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Interrupted" in stderr
    assert "slow" not in tfserve.left()


@pytest.mark.usefixtures("directory")
def test_what_a_file_comes_to(tfserve: Program, tmp_path: Path) -> None:
    text = tfserve("config", SECRET="$x").stdout
    assert "SECRET: $$x" in text
    (tmp_path / "resolved.yaml").write_text(text)
    assert tfserve("config", "-f", "resolved.yaml").stdout == text  # which says the same anywhere
    assert list(tfserve.json("config", "two")["servers"]) == ["two"]
    assert_told(tfserve("config", "x"), 2, "describes no server 'x'", "one, two")
    for command in ("config", "up", "down"):
        assert_told(tfserve(command, "tow"), 2, "describes no server 'tow'", "Did you mean two?")
    (tmp_path / "tfserve.yaml").write_text("servers:\n  one: {modles: [m]}")
    for command in ("config", "up"):
        assert_told(tfserve(command), 2, "tfserve.yaml, line 2, servers.one.modles: ", "Did you mean models?")
    assert tfserve("config", "-f", "-", stdin=text).stdout == text
    assert_told(tfserve("config", "-f", "-", stdin="servers: {a: 1}"), 2, "standard input, line 1, servers.a: expected")
    assert_told(tfserve("up", "-f", "none.yaml"), 2, "There is no file none.yaml", "tfserve init")


def test_a_first_file(tfserve: Program, copied: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copied("a model").parent)
    assert_told(tfserve("init", "none"), 3, "There is no model")
    shutil.move("a model", "model")
    done = tfserve("init", "model")
    assert (done.returncode, done.stdout) == (0, "tfserve.yaml is written. Look at it, then: tfserve up\n")
    assert "- path: ./model\n" in (tmp_path / "tfserve.yaml").read_text()
    assert actions(tfserve.json("up", "--dry-run")) == {"model": "create"}
    assert_told(tfserve("init", "model"), 2, "tfserve.yaml is there already")
    assert_told(tfserve("init", "model", "-f", "no/such/file"), 2, "cannot be written: there is no directory no/such")
    assert_told(tfserve("run", "model", "--save", "no/file"), 2, "cannot be written: there is no directory no")
    assert tfserve("init", "model", "-f", "-").stdout == (tmp_path / "tfserve.yaml").read_text()
    shutil.move("model", "bad näme")
    done = tfserve("init", "bad näme", "-f", "named.yaml")
    assert (done.returncode, "it is called bad_n_me there" in done.stderr) == (0, True)
    assert list(tfserve.json("config", "-f", "named.yaml")["servers"]) == ["bad_n_me"]
    assert json.loads(tfserve("schema").stdout)["title"] == "tfserve.yaml"

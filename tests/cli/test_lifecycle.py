from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.free_ports import free_ports
from tests.program import Copy, Program, assert_error, eventually

LOCAL = ("--engine", "local", "--rest-port", "0", "--grpc-port", "0")


@pytest.fixture
def pair(tfserve: Program, copied: Copy) -> dict[str, dict[str, Any]]:
    """Two servers, a and b, each with a model of its own, on ports that they can use again after a restart."""
    runs = {}
    for name in ("a", "b"):
        rest, grpc = map(str, free_ports(2))
        options = ("--engine", "local", "--rest-port", rest, "--grpc-port", grpc, "--no-smoke-test", "--json")
        runs[name] = tfserve.start("run", copied(name), *options)
    return {name: json.loads(run.communicate(timeout=60)[0]) for name, run in runs.items()}


def states(tfserve: Program) -> dict[str, str]:
    return {server["name"]: server["state"] for server in tfserve.json("ps", "--engine", "local")}


def test_stop_start_restart_and_remove(tfserve: Program, pair: dict[str, dict[str, Any]]) -> None:
    assert_error(tfserve("stop"), 2, "There are several servers: ", "Name one of them")
    assert_error(tfserve("stop", "a", "c"), 10, "There is no server 'c'")
    assert_error(tfserve("rm", "a", "b"), 2, "Still running: a, b. Nothing was removed", "tfserve rm --force a b")
    assert states(tfserve) == {"a": "running", "b": "running"}

    assert tfserve.json("stop", "b", "a", "b") == ["b", "a"]
    assert states(tfserve) == {"a": "exited", "b": "exited"}
    assert tfserve.processes() == []
    assert tfserve("stop", "a").stdout == "a is stopped\n"  # a second stop has no effect

    started = tfserve.json("start", "a", "b")
    assert [(server["name"], server["health"]) for server in started] == [("a", "available"), ("b", "available")]
    assert [server["rest_url"] for server in started] == [pair[name]["rest_url"] for name in ("a", "b")]
    assert set(started[0]) == set(pair["a"]) - {"smoke_test"}

    (restarted,) = tfserve.json("restart", "a")
    assert restarted["health"] == "available"
    assert restarted["pid"] != started[0]["pid"]
    assert restarted["created"] == pair["a"]["created"]
    assert states(tfserve) == {"a": "running", "b": "running"}

    assert tfserve.json("rm", "--force", "a", "b") == ["a", "b"]
    assert tfserve.server_names() == []
    assert tfserve.processes() == []
    assert_error(tfserve("rm"), 10, "There is no server.", "tfserve run")


def test_killed_server_and_failed_starts(tfserve: Program, pair: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    os.kill(pair["a"]["pid"], signal.SIGKILL)
    eventually(lambda: states(tfserve)["a"] == "exited")
    status = tfserve.json("status", "a")
    assert (status["pid"], status["rest_url"], status["health"]) == (None, None, "unknown")
    assert_error(tfserve("predict", "a", "1"), 10, "'a' is stopped", "tfserve start a")
    assert tfserve("logs", "a").stdout.count("Entering the event loop") == 1

    port = int(pair["a"]["rest_url"].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        assert_error(tfserve("start", "a"), 6, f"Port {port} on 127.0.0.1 is taken", "tfserve rm a")

    variables = tmp_path / "a" / "1" / "variables" / "variables.data-00000-of-00001"
    whole = variables.read_bytes()
    variables.write_bytes(whole[:5])
    assert_error(tfserve("start", "a"), 7, "'a' cannot load its model")
    assert tfserve.json("status", "a")["health"] == "failed"  # the failed server is kept, with its log
    variables.write_bytes(whole)
    (again,) = tfserve.json("restart", "a")
    assert again["health"] == "available"


def test_damaged_record_is_ignored(tfserve: Program, half_plus_two: Path) -> None:
    directory = tfserve.servers / "half_plus_two"
    directory.mkdir(parents=True)
    for text in ("", "{", '{"plan": "{}"}', "[]"):
        (directory / "server.json").write_text(text)
        assert tfserve.json("ps") == []
    done = tfserve("run", half_plus_two, *LOCAL, "--wait", "0")
    assert done.returncode == 0


@pytest.mark.parametrize("command", ["stop", "start", "restart", "rm", "status", "logs"])
def test_missing_server(tfserve: Program, command: str) -> None:
    assert_error(tfserve(command, "half_plus_two", "--engine", "local"), 10, "There is no server 'half_plus_two'")


@pytest.mark.parametrize("arguments", [["stop", "--time", "-1"], ["start", "--wait", "soon"], ["rm", "--farce"]])
def test_bad_usage(tfserve: Program, arguments: list[str]) -> None:
    done = tfserve(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert arguments[1] in done.stderr


def test_damaged_record_of_a_running_server(tfserve: Program, half_plus_two: Path) -> None:
    started = tfserve.json("run", half_plus_two, "--name", "m", *LOCAL, "--no-smoke-test")
    (tfserve.servers / "m" / "server.json").write_text("[]")
    (found,) = tfserve.json("ps")
    assert (found["name"], found["state"], found["pid"]) == ("m", "dead", started["pid"])
    assert_error(tfserve("run", half_plus_two, "--name", "m", "--engine", "local"), 6, "rm m")
    assert tfserve("rm", "m").returncode == 0
    assert tfserve.processes() == []
    assert tfserve.server_names() == []

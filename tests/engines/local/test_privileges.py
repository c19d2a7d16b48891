"""What programs in a sandbox can do, with each version of Landlock's interface, and without it."""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.free_ports import free_ports
from tests.program import Plan, eventually
from tfserve.engines.local.engine import LocalEngine
from tfserve.engines.local.runtime import OWN_COMMAND
from tfserve.engines.local.sandbox import allowed
from tfserve.errors import EngineUnavailableError, NotReadyError
from tfserve.host import landlock
from tfserve.host.landlock import Allowed, Right, landlock_abi, ruleset_of
from tfserve.host.privileges import NO_RULESET
from tfserve.plan.launch_plan import LaunchPlan, PublishedPort, Sandbox

ABI = landlock_abi()
pytestmark = pytest.mark.skipif(ABI == 0, reason="the kernel has no Landlock")

ATTEMPTS = """
import ctypes, json, os, signal, socket, sys
port, listening, other, parent, path, own = sys.argv[1:]

def outcome(attempt):
    try:
        attempt()
    except OSError as error:
        return type(error).__name__
    return "done"

def bind(family, address):
    with socket.socket(family) as bound:
        bound.bind(address)

def execute():
    child = os.fork()
    if child == 0:
        try:
            os.execv("/bin/true", ["true"])
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0

tcp = socket.AF_INET
print(json.dumps({
    "bind own port": outcome(lambda: bind(tcp, ("127.0.0.1", int(port)))),
    "bind other port": outcome(lambda: bind(tcp, ("127.0.0.1", int(other)))),
    "bind any port": outcome(lambda: bind(tcp, ("127.0.0.1", 0))),
    "connect": outcome(lambda: socket.create_connection(("127.0.0.1", int(listening)), 5).close()),
    "abstract socket": outcome(lambda: socket.socket(socket.AF_UNIX).connect("\\0" + path)),
    "signal": outcome(lambda: os.kill(int(parent), 0)),
    "read": outcome(lambda: open(path).read()),
    "truncate": outcome(lambda: os.truncate(path, 0)),
    "create": outcome(lambda: open(path + ".new", "w")),
    "link": outcome(lambda: os.link(path, own + "/link")),
    "rename": outcome(lambda: os.rename(path, own + "/renamed")),
    "temporary": outcome(lambda: open(os.environ["TMPDIR"] + "/new", "w")),
    "execute": "done" if execute() else "PermissionError",
    "memory of parent": outcome(lambda: open(f"/proc/{parent}/mem")),
    "own command line": outcome(lambda: open("/proc/self/cmdline")),
    "own descriptors": outcome(lambda: os.listdir("/proc/self/fd")),
    "own environment": outcome(lambda: open("/proc/self/environ")),
}), flush=True)
"""
OWN = ("own command line", "own descriptors")
DENIED = "PermissionError"


@pytest.mark.parametrize("abi", range(ABI + 1))
def test_attempts(
    abi: int, engine: LocalEngine, python_plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfserve.engines.local.sandbox.landlock_abi", lambda: abi)
    port, other = free_ports(2)
    path = tmp_path / "file"
    path.write_text("s3cret")
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0{path}")
        abstract.listen()
        arguments = map(str, (port, listener.getsockname()[1], other, os.getpid(), path, tmp_path))
        command = (sys.executable, "-S", "-c", ATTEMPTS, *arguments)
        published = PublishedPort(port, "127.0.0.1", port)
        server = engine.launch(python_plan(command=command, rest=published, sandbox=Sandbox()))
        eventually(lambda: "own environment" in "".join(server.logs()))
    found: dict[str, Any] = json.loads("".join(server.logs()))
    assert {found.pop(name) for name in ("bind own port", "temporary", *OWN)} == {"done"}
    limited = {
        1: ["read", "create", "execute", "link", "rename", "own environment"],
        3: ["truncate"],
        4: ["bind other port", "bind any port", "connect"],
        6: ["signal", "abstract socket"],
    }
    if found.pop("memory of parent") != DENIED:  # also denied because the parent has the capabilities of root
        assert abi == 0
    denied = {name for since, names in limited.items() if since <= abi for name in names}
    expected = {name: DENIED if name in denied else "done" for name in found}
    assert found == expected


def test_program_that_cannot_be_started(engine: LocalEngine, python_plan: Plan, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"neither a script nor a program")
    for mode, problem in ((0o644, "Permission denied"), (0o755, "Exec format error")):
        program.chmod(mode)
        with pytest.raises(NotReadyError, match=f"could not be started: {problem}"):
            engine.launch(python_plan(command=(str(program),), sandbox=Sandbox()))
    with pytest.raises(NotReadyError, match="could not be started: No such file"):
        engine.launch(python_plan(command=("/no/such/program",), sandbox=Sandbox()))
    assert engine.servers() == []


def test_kernel_that_refuses_the_rules(engine: LocalEngine, python_plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfserve.host.landlock._RIGHTS_SINCE", {1: Right(1 << 40)})  # no kernel knows this one
    with pytest.raises(EngineUnavailableError, match="cannot be set up: the kernel refused") as caught:
        engine.launch(python_plan(sandbox=Sandbox()))
    assert "unsandboxed=True" in str(caught.value.hint)
    assert engine.servers() == []


def test_script_runs_the_programs_that_it_needs(engine: LocalEngine, python_plan: Plan, tmp_path: Path) -> None:
    """As a ``tensorflow_model_server`` on PATH can be one."""
    program = tmp_path / "bin" / "tensorflow_model_server"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{sys.executable} -c 'import tfserve, numpy; print(1)'; cat /etc/passwd; id -u\n")
    program.chmod(0o755)
    server = engine.launch(python_plan(command=(str(program),), sandbox=Sandbox()))
    eventually(lambda: not server.engine.find("m").running)  # type: ignore[union-attr]
    first, second, third = server.logs()
    assert (first, third) == ("1", str(os.getuid()))
    assert "/etc/passwd: Permission denied" in second


def test_files_are_given_by_descriptors(tmp_path: Path) -> None:
    """Rights on directories do not apply to a file, and what does not exist is left out."""
    file = tmp_path / "file"
    file.write_text("text")
    allowed = Allowed([(file, Right.WRITE), (tmp_path / "none", Right.READ), (tmp_path, Right.READ)], [0, 80])
    for abi in (*range(1, ABI + 1), landlock.NEWEST_ABI + 3):
        with ruleset_of(allowed, abi) as ruleset:
            assert "landlock" in str(Path(f"/proc/self/fd/{ruleset}").readlink())
        with pytest.raises(OSError):
            os.fstat(ruleset)
    with ruleset_of(allowed, 0) as ruleset:
        assert ruleset == NO_RULESET


def test_privileges_are_given_up_without_landlock(
    engine: LocalEngine, python_plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfserve.engines.local.sandbox.landlock_abi", lambda: 0)
    monkeypatch.delattr("os.O_PATH")  # as on other systems
    server = engine.launch(python_plan(sandbox=Sandbox()))
    eventually(lambda: "NoNewPrivs:\t1" in Path(f"/proc/{server.pid}/status").read_text())


def readable(plan: LaunchPlan, directory: Path) -> set[Path]:
    """The files and directories that a process of `plan` can read."""
    with ExitStack() as opened:
        files = [file for file, rights in allowed(plan, directory, {}, opened).files if rights & Right.READ_FILE]
        return {Path(f"/proc/self/fd/{file}").readlink() if isinstance(file, int) else file for file in files}


def test_base_paths_in_the_users_own_config(python_plan: Plan, half_plus_two: Path, tmp_path: Path) -> None:
    """The file is read at every start, as it may have changed."""
    config, other = tmp_path / "own.config", tmp_path / "other"
    other.mkdir()
    plan = python_plan(command=("x", f"--model_config_file={config}"), sandbox=Sandbox(read=(str(config),)))
    for base_path in (half_plus_two, other):
        entry = f'config {{ name: "a" base_path: "{base_path}" model_platform: "tensorflow" }}'
        config.write_text(f"model_config_list {{ {entry} }}")
        assert {base_path, config} <= readable(plan, tmp_path)
    config.write_text("broken")
    assert not {other, half_plus_two} & readable(plan, tmp_path)


def test_ports_to_listen_on(python_plan: Plan, tmp_path: Path) -> None:
    """A port that the kernel chooses is needed for IPv6: gRPC tries it out."""
    for host, ports in (("127.0.0.1", [8500, 8501]), ("::1", [0, 8500, 8501]), ("0.0.0.0", [0, 8500, 8501])):
        published = {"rest": PublishedPort(8501, host, 8501), "grpc": PublishedPort(8500, host, 8500)}
        assert allowed(python_plan(sandbox=Sandbox(), **published), tmp_path, {}, ExitStack()).ports == ports
    assert not allowed(python_plan(sandbox=Sandbox()), tmp_path, {}, ExitStack()).connect
    assert allowed(python_plan(sandbox=Sandbox(connect=True)), tmp_path, {}, ExitStack()).connect


def test_our_own_server_executes_nothing(python_plan: Plan, tmp_path: Path) -> None:
    for command, executes in ((OWN_COMMAND, False), ((sys.executable, "-c", ""), True)):
        files = allowed(python_plan(command=command, sandbox=Sandbox()), tmp_path, {}, ExitStack()).files
        assert any(rights & Right.EXECUTE for _, rights in files) == executes

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.doctor.healthy import HEALTHY
from tfserve.doctor.facts import Facts, LocalRuntime, StateDirectory
from tfserve.doctor.machine import local_serves, machine_checks, way_to_serve
from tfserve.errors import EngineUnavailableError
from tfserve.host.system import System


def test_failure_if_nothing_can_serve() -> None:
    facts = replace(HEALTHY, engine=EngineUnavailableError("It hangs."), state=StateDirectory("/x", 0, "/x is locked"))
    assert machine_checks(facts)[2].status == "fail"
    assert way_to_serve(facts).startswith("export XDG_STATE_HOME=")
    assert way_to_serve(replace(facts, local=LocalRuntime(None, "grpc"))) == "pip install 'tfserve-cli[local]'"


def test_healthy_machine() -> None:
    assert [(check.name, check.status, check.hint) for check in machine_checks(HEALTHY)] == [
        (name, "ok", None) for name in ("ports", "local-engine", "state-directory", "sandbox")
    ]
    assert local_serves(HEALTHY)


@pytest.mark.parametrize(
    ("facts", "number", "detail", "hint", "serves"),
    [
        (replace(HEALTHY, taken=(8501,)), 0, "8501 is taken", "sport = :8501", True),
        (replace(HEALTHY, taken=(8500, 8501)), 0, "8500 and 8501 are taken", "sport = :8500", True),
        (
            replace(HEALTHY, local=LocalRuntime(None, "tensorflow, grpc")),
            1,
            "missing: tensorflow, grpc",
            "pip install 'tfserve-cli[local]'",
            False,
        ),
        (
            replace(HEALTHY, local=LocalRuntime(None, broken="/x does not run: Illegal instruction.")),
            1,
            "/x does not run",
            "remove the program that does not run from PATH",
            False,
        ),
        (
            replace(HEALTHY, state=StateDirectory("/x", 0, "/x cannot be written")),
            2,
            "/x cannot be written",
            "XDG_STATE_HOME",
            False,
        ),
        (replace(HEALTHY, state=StateDirectory("/x", 2**20)), 2, "1 MiB free in /x", "Free some space", True),
    ],
)
def test_problems(facts: Facts, number: int, detail: str, hint: str, serves: bool) -> None:
    found = machine_checks(facts)[number]
    assert found.status == "warn"
    assert detail in str(found.detail)
    assert hint in str(found.hint)
    assert local_serves(facts) is serves


@pytest.mark.parametrize(
    ("abi", "status", "limited", "missing"),
    [
        (7, "ok", ["files", "TCP ports and connections", "devices", "signals and abstract sockets"], []),
        (8, "ok", ["signals and abstract sockets"], []),
        (6, "ok", ["signals and abstract sockets"], []),
        (5, "warn", ["devices"], ["signals and abstract sockets (Linux 6.12)"]),
        (4, "warn", ["TCP ports and connections"], ["devices (Linux 6.10)", "signals"]),
        (3, "warn", ["files", "the truncation of files"], ["TCP ports and connections (Linux 6.7)"]),
        (1, "warn", ["files"], ["the truncation of files (Linux 6.2)"]),
        (0, "warn", [], ["can use whatever you can"]),
    ],
)
def test_sandbox(abi: int, status: str, limited: list[str], missing: list[str]) -> None:
    found = machine_checks(replace(HEALTHY, landlock=abi))[3]
    used, _, unused = str(found.detail).partition(", but not of ")
    assert (found.name, found.status, found.hint is None) == ("sandbox", status, status == "ok")
    assert all(what in used for what in limited)
    assert all(what in (unused or used) for what in missing)


def test_only_linux_has_a_sandbox() -> None:
    facts = replace(HEALTHY, system=System("macos"), landlock=0)
    assert machine_checks(facts)[3].status == "skip"

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engines.memory import KIND, MemoryEngine
from tests.engines.memory_package import installed
from tfserve.doctor.other_engines import OtherEngines, other_engine_checks
from tfserve.errors import EngineUnavailableError


@pytest.fixture(autouse=True)
def memory(tmp_path: Path) -> Iterator[MemoryEngine]:
    with installed(tmp_path / "engines") as engine:
        yield engine


def results(seconds: float = 5) -> list[tuple[str, str, str, str | None]]:
    checks = other_engine_checks(OtherEngines(seconds).errors())
    return [
        (check.name, check.status, str(check.detail), None if check.hint is None else str(check.hint))
        for check in checks
    ]


def refuse() -> MemoryEngine:
    raise EngineUnavailableError("It has no memory.", hint="Buy more.")


def refuse_without_hint() -> MemoryEngine:
    raise EngineUnavailableError("It has no memory.")


def test_an_engine_that_answers() -> None:
    assert results() == [("memory-engine", "ok", "The memory engine answers.", None)]


@pytest.mark.parametrize(("connect", "hint"), [(refuse, "Buy more."), (refuse_without_hint, "It cannot fail.")])
def test_an_engine_that_cannot_be_used(
    connect: Callable[[], MemoryEngine], hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KIND, "connect", connect)
    assert results() == [("memory-engine", "warn", "It has no memory.", hint)]


def test_an_engine_that_is_not_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KIND, "is_configured", lambda: False)
    monkeypatch.setattr(KIND, "connect", refuse)
    assert results() == [("memory-engine", "warn", "The memory engine is not configured.", "It cannot fail.")]


def test_an_engine_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(KIND, "connect", released.wait)
    assert results(0.1) == [
        ("memory-engine", "warn", "The memory engine did not answer within 0.1 s.", "It cannot fail.")
    ]
    released.set()

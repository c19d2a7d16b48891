"""What counts as the same output."""

from __future__ import annotations

import pytest

from tests.docs.compare import matches, refreshed


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ("http://127.0.0.1:8501/v1", "http://127.0.0.1:40125/v1"),
        ("m  docker  127.0.0.1:8500", "m  docker  127.0.0.1:34567"),
        ("answered in 9.9 ms", "answered in 123 ms"),
        ("(local, process 4711)", "(local, process 12)"),
        ('"pid": 1940,', '"pid": 7,'),
        ("I0000 00:00:1795993820.320807   10838 main.py:294] Ready", "I0000 00:00:1.3   1 main.py:1] Ready"),
        ("created  2026-11-29T23:10:19Z", "created  2027-01-01T00:00:00Z"),
    ],
)
def test_what_varies(shown: str, real: str) -> None:
    assert matches([shown], [real])
    assert refreshed([shown], [real]) == [shown]


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ("http://127.0.0.1:8501/v1", "http://127.0.0.1:8501/v2"),
        ("y  2.5", "y  3.5"),
        ("m is ready", "m is ready (local)"),
        ("version 1", "version 2"),
    ],
)
def test_what_does_not(shown: str, real: str) -> None:
    assert not matches([shown], [real])
    assert refreshed([shown], [real]) == [real]


def test_lines_left_out() -> None:
    real = ["first", "second", "third", "last"]
    assert matches(["first", "...", "last"], real)
    assert matches(["...", "third", "..."], real)
    assert matches(["first", "...", "second", "third", "last"], real)
    assert not matches(["second", "..."], real)
    assert not matches(["...", "fourth", "..."], real)


def test_notices_that_depend_on_the_machine() -> None:
    moved = "Port 8501 is taken: REST is on 40001."
    assert matches(["m is ready"], [moved, "m is ready"])
    assert matches([moved], [moved])
    assert matches(["Waiting", "m is ready"], ["Waiting", moved, "Waiting", "m is ready"])
    assert refreshed(["m is ready"], [moved, "m is ready"]) == ["m is ready"]
    assert matches(
        ["Docker was not found. Serving with the local engine instead."],
        ["No Docker Engine answers at unix:///x.sock. Serving with the local engine instead."],
    )


def test_servers_that_start_together() -> None:
    notices = [f"{name}: Docker was not found. Serving with the local engine instead." for name in ("a", "b")]
    assert matches(["start", *notices], ["start", *reversed(notices)])
    assert not matches(["start", *notices], [*notices, "start"])


def test_only_what_changed_is_written() -> None:
    shown = ["{", '  "pid": 1,', "  {", '    "old": 1', "  }", "}"]
    real = ["{", '  "pid": 2,', "  {", '    "new": 1', "  }", "}"]
    assert refreshed(shown, real) == ["{", '  "pid": 1,', "  {", '    "new": 1', "  }", "}"]

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.text import did_you_mean, nearest, printable, printable_lines, rfc3339


def test_escapes() -> None:
    assert printable("a ü\t\x1b[0m\x9b\u202e\udcff") == r"a ü\t\x1b[0m\x9b\u202e\xff"
    assert printable("a\nb") == r"a\nb"
    assert printable("abcdef", limit=3) == "abc… 6 characters"


def test_lines() -> None:
    assert printable_lines("a\n\tb\r\x1b[0m\udcff") == "a\n\tb" + r"\r\x1b[0m\xff"
    assert printable_lines("a\n" * 5000) == "a\n" * 5000
    assert printable_lines("a\nbcdef", limit=3) == "a\nb… 7 characters"


@given(st.text(st.characters()))
def test_any_text_is_printable(text: str) -> None:
    for shown in (printable(text), printable_lines(text)):
        shown.encode()
        assert "".join(shown.replace("\t", "\n").split("\n")).isprintable()
    assert printable(text).isprintable()


@pytest.mark.parametrize(
    ("name", "found"),
    [("statsu", "status"), ("STATUS", "status"), ("strat", "start"), ("zzz", None), ("", None), ("status", "status")],
)
def test_nearest(name: str, found: str | None) -> None:
    assert nearest(name, ["start", "status", "stop"]) == found


def test_nearest_of_names_that_nobody_types() -> None:
    names = [f"{number}{'x' * 50_000}" for number in range(1000)]
    assert nearest("x" * 50_000, names) is None
    assert nearest("statsu", ["status", *names]) == "status"
    assert nearest("x", (str(number) for number in range(10**9))) is None


def test_did_you_mean() -> None:
    assert did_you_mean("serving_defualt", {"serving_default": 1}, "--signature ") == (
        "Did you mean --signature serving_default?"
    )
    assert did_you_mean("\x1b[1m", ["\x1b[0m"]) == r"Did you mean \x1b[0m?"
    assert did_you_mean("a", []) is None


@given(st.text(), st.lists(st.text()))
def test_any_name(name: str, known: list[str]) -> None:
    assert nearest(name, known) in {None, *known}


_MOMENT = datetime(2026, 1, 31, 12, 0, 0, 5, timezone(timedelta(hours=2)))


def test_rfc3339_is_in_utc() -> None:
    assert rfc3339(_MOMENT) == "2026-01-31T10:00:00Z"
    assert rfc3339(_MOMENT, "microseconds") == "2026-01-31T10:00:00.000005Z"

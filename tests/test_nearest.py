from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.text import did_you_mean, nearest


@pytest.mark.parametrize(
    ("name", "found"),
    [("statsu", "status"), ("STATUS", "status"), ("strat", "start"), ("zzz", None), ("", None), ("status", "status")],
)
def test_nearest(name: str, found: str | None) -> None:
    assert nearest(name, ["start", "status", "stop"]) == found


def test_did_you_mean() -> None:
    assert did_you_mean("serving_defualt", {"serving_default": 1}, "--signature ") == (
        "Did you mean --signature serving_default?"
    )
    assert did_you_mean("\x1b[1m", ["\x1b[0m"]) == r"Did you mean \x1b[0m?"
    assert did_you_mean("a", []) is None


@given(st.text(), st.lists(st.text()))
def test_any_name(name: str, known: list[str]) -> None:
    assert nearest(name, known) in {None, *known}

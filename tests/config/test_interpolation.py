from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.config.interpolation import InterpolationError, interpolate

VARIABLES = {"A": "one", "EMPTY": "", "_x9": "${A}"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", ""),
        ("plain {A}", "plain {A}"),
        ("${A} and $A.", "one and one."),
        ("$$A $${A} $$$A", "$A ${A} $one"),
        ("${_x9}", "${A}"),  # a value is no text with variables
        ("${EMPTY}|${EMPTY-x}|${EMPTY:-x}", "||x"),
        ("${NO-x}|${NO:-x y}|${NO:-}", "x|x y|"),
        ("${A:-x}|${A-x}|${A:?no}|${EMPTY?no}", "one|one|one|"),
        ("${A:+x}|${EMPTY:+x}|${EMPTY+x}|${NO+x}", "x||x|"),
        ("${NO:-/a:b-c?d}", "/a:b-c?d"),
    ],
)
def test_values(text: str, value: str) -> None:
    assert interpolate(text, VARIABLES) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${NO}", "the variable NO is not set"),
        ("$NO", "the variable NO is not set"),
        ("${NO:?give it}", "the variable NO is not set: give it"),
        ("${EMPTY:?give it}", "the variable EMPTY is not set: give it"),
        ("a $", "begins no variable"),
        ("${", "begins no variable"),
        ("${A", "begins no variable"),
        ("${1}", "begins no variable"),
        ("${A!x}", "begins no variable"),
        ("$(id)", "begins no variable"),
    ],
)
def test_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(InterpolationError, match=words):
        interpolate(text, VARIABLES)


@given(st.text())
def test_dollars_that_are_doubled_stay(text: str) -> None:
    assert interpolate(text.replace("$", "$$"), {}) == text

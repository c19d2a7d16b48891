from __future__ import annotations

import re

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
        ("${_x9}", "${A}"),  # values are not interpolated again
        ("${EMPTY}|${EMPTY-x}|${EMPTY:-x}", "||x"),
        ("${NO-x}|${NO:-x y}|${NO:-}", "x|x y|"),
        ("${A:-x}|${A-x}|${A:?no}|${EMPTY?no}", "one|one|one|"),
        ("${A:+x}|${EMPTY:+x}|${EMPTY+x}|${NO+x}", "x||x|"),
        ("${NO:-/a:b-c?d}", "/a:b-c?d"),
        ("${A:-${NO:-x}}.", "one."),
        ("${NO:-${ALSO_NO:-x}}.${NO:-a${A}b$A}}", "x.aonebone}"),
        ("${NO:-$$x$${A}|${A:+${A}s}", "$x${A|ones"),
        ("${A:-${NO}}${A:-$}${NO:+${NO}}", "oneone"),  # unused text is not resolved
        ("${NO:-a\nb{c}", "a\nb{c"),
    ],
)
def test_values(text: str, value: str) -> None:
    assert interpolate(text, VARIABLES) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${NO}", "The variable NO is not set"),
        ("$NO", "The variable NO is not set"),
        ("${NO:?give it}", "The variable NO is not set: give it"),
        ("${EMPTY:?give it}", "The variable EMPTY is not set: give it"),
        ("a $", "does not begin a variable"),
        ("${", "'${' has no '}'"),
        ("${}", "does not begin a variable"),
        ("${A", "'${' has no '}'"),
        ("${A:-${NO:-x}", "'${' has no '}'"),
        ("${NO:-${ALSO_NO}}", "The variable ALSO_NO is not set"),
        ("${NO:?not with ${A}}", "The variable NO is not set: not with one"),
        ("${NO:-" * 30 + "}" * 30, "More than 20 variables are nested"),
        ("${A:-" * 50_000, "More than 20 variables are nested"),
        ("${1}", "does not begin a variable"),
        ("${A!x}", "does not begin a variable"),
        ("$(id)", "does not begin a variable"),
    ],
)
def test_errors(text: str, words: str) -> None:
    with pytest.raises(InterpolationError, match=re.escape(words)):
        interpolate(text, VARIABLES)


PARTS = [("${A}", "one"), ("$$", "$"), ("${NO:-${A}}", "one"), ("${EMPTY:-x}", "x"), ("${A:+ y}", " y"), ("} {", "} {")]


@given(st.lists(st.sampled_from(PARTS) | st.text().map(lambda text: (text.replace("$", "$$"), text))))
def test_any_sequence_of_valid_parts(parts: list[tuple[str, str]]) -> None:
    assert interpolate("".join(part for part, _ in parts), VARIABLES) == "".join(value for _, value in parts)


@given(st.text("${}A:-?+ ") | st.text())
def test_any_text(text: str) -> None:
    try:
        value = interpolate(text, VARIABLES)
    except InterpolationError as error:
        assert "$" in text
        assert error.hint
    else:
        assert "$" in text or value == text


@given(st.text())
def test_doubled_dollar_signs(text: str) -> None:
    assert interpolate(text.replace("$", "$$"), {}) == text

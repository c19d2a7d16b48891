from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tfserve.text import printable, printable_lines


def test_escapes() -> None:
    assert printable("a ü\t\x1b[0m\x9b\u202e\udcff") == r"a ü\t\x1b[0m\x9b\u202e\xff"
    assert printable("a\nb") == r"a\nb"
    assert printable("abcdef", limit=3) == "abc… 6 characters"


def test_lines() -> None:
    assert printable_lines("a\n\tb\r\x1b[0m\udcff") == "a\n\tb" + r"\r\x1b[0m\xff"
    assert printable_lines("a\n" * 5000) == "a\n" * 5000
    assert printable_lines("a\nbcdef", limit=3) == "a\nb… 7 characters"


@given(st.text(st.characters()))
def test_any_text_can_be_shown(text: str) -> None:
    for shown in (printable(text), printable_lines(text)):
        shown.encode()
        assert "".join(shown.replace("\t", "\n").split("\n")).isprintable()
    assert printable(text).isprintable()

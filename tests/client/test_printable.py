from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tfserve.client.printable import printable


def test_escapes() -> None:
    assert printable("a ü\t\x1b[0m\x9b\u202e\udcff") == r"a ü\t\x1b[0m\x9b\u202e\xff"
    assert printable("a\nb") == r"a\nb"
    assert printable("a\nb\r", newlines=True) == "a\nb\\r"
    assert printable("abcdef", limit=3) == "abc… 6 characters"


@settings(deadline=None)
@given(st.text(st.characters()))
def test_any_text_can_be_shown(text: str) -> None:
    printable(text).encode()
    assert printable(text).isprintable()

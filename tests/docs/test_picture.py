"""The picture of the README shows what the commands in it print."""

from __future__ import annotations

from tests.docs import picture
from tests.docs.compare import matches
from tests.program import Program


def test_it_is_up_to_date(tfserve: Program) -> None:
    shown = picture.described(picture.FILE.read_text(encoding="utf-8"))
    real = picture.described(picture.svg(picture.take(tfserve)))
    assert matches(shown, real), "write it again: python -m tests.docs.picture"


def test_it_is_of_no_machine() -> None:
    drawn = picture.FILE.read_text(encoding="utf-8")
    assert "python -m tests.docs.picture" in drawn
    assert "url(http" not in drawn
    assert "/tmp" not in drawn
    assert "/home" not in drawn

from __future__ import annotations

import threading

import pytest

from tfserve.doctor.bounded import Bounded


def test_what_it_came_to() -> None:
    assert Bounded(lambda: 7, 20).result() == 7
    with pytest.raises(ZeroDivisionError):
        Bounded(lambda: 1 / 0, 20).result()


def test_what_does_not_end_is_not_waited_for() -> None:
    for_ever = threading.Event()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
        Bounded(for_ever.wait, 0.05).result()
    for_ever.set()

"""Measures two things in turn, so that a machine that gets slower gets slower for both."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

__all__ = ["Effort", "Row", "compare", "in_turn", "run"]

T = TypeVar("T")


class Effort(NamedTuple):
    """How much is measured.

    Attributes:
        rounds: pairs of each row of short runs.
        load_rounds: pairs of each row under load.
        seconds: length of each load.
    """

    rounds: int
    load_rounds: int
    seconds: float


_SHOWN = {"s": (1e3, "ms"), "B": (1e-6, "MB"), "/s": (1.0, "/s")}


@dataclass(frozen=True)
class Row:
    """One line of the table: medians of both sides, their ratio, and what it may be.

    Attributes:
        what: what is measured.
        ours: its median.
        reference: what it is measured against.
        theirs: the median of that.
        limit: what the ratio, ours over theirs, may be at most, or with `at_least` at least.
        unit: of both medians: ``s``, ``B`` or ``/s``.
        at_least: whether more is better.
    """

    what: str
    ours: float
    reference: str
    theirs: float
    limit: float
    unit: str = "s"
    at_least: bool = False

    @property
    def ratio(self) -> float:
        """Ours over theirs."""
        return self.ours / self.theirs

    @property
    def met(self) -> bool:
        """Whether the ratio is what it may be."""
        return self.ratio >= self.limit if self.at_least else self.ratio <= self.limit

    def __str__(self) -> str:
        scale, shown = _SHOWN[self.unit]
        direction, verdict = ">=" if self.at_least else "<=", "ok" if self.met else "MISSED"
        return (
            f"{self.what:<58} {self.ours * scale:9.1f} {shown}  {self.theirs * scale:9.1f} {shown}  "
            f"{self.ratio:6.2f}  {direction} {self.limit:5.2f}  {verdict:<6}  {self.reference}"
        )


def run(command: Sequence[str]) -> float:
    """Runs a command to its end and returns how many seconds that took."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return time.perf_counter() - begin


def in_turn(ours: Callable[[], T], theirs: Callable[[], T], rounds: int) -> tuple[list[T], list[T]]:
    """Measures `ours` and `theirs` in turn, `rounds` times after a warm-up, and returns what each came to."""
    ours(), theirs()
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    mine, other = zip(*pairs, strict=True)
    return list(mine), list(other)


def compare(
    what: str,
    ours: Callable[[], float],
    reference: str,
    theirs: Callable[[], float],
    *,
    rounds: int,
    at_most: float = 0.0,
    at_least: float = 0.0,
    unit: str = "s",
) -> Row:
    """Measures both `in_turn`, and compares the medians; either `at_most` or `at_least` limits their ratio."""
    mine, other = map(statistics.median, in_turn(ours, theirs, rounds))
    return Row(what, mine, reference, other, at_least or at_most, unit, at_least=bool(at_least))

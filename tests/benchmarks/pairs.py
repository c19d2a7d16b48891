"""Measures two things alternately, so that a machine that becomes slower does so for both."""

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
    """One line of the table: medians of both sides, their ratio, and its limit.

    Attributes:
        what: what is measured.
        ours: its median.
        reference: what it is compared with.
        theirs: the median of that.
        limit: the maximum of the ratio, ours over theirs; with `at_least`, the minimum.
        unit: the unit of both medians: ``s``, ``B`` or ``/s``.
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
        """Whether the ratio is within its limit."""
        return self.ratio >= self.limit if self.at_least else self.ratio <= self.limit

    def __str__(self) -> str:
        scale, shown = _SHOWN[self.unit]
        direction, verdict = ">=" if self.at_least else "<=", "ok" if self.met else "MISSED"
        return (
            f"{self.what:<58} {self.ours * scale:9.1f} {shown}  {self.theirs * scale:9.1f} {shown}  "
            f"{self.ratio:6.2f}  {direction} {self.limit:5.2f}  {verdict:<6}  {self.reference}"
        )


def run(command: Sequence[str]) -> float:
    """Runs a command and returns its duration in seconds."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return time.perf_counter() - begin


def in_turn(ours: Callable[[], T], theirs: Callable[[], T], rounds: int) -> tuple[list[T], list[T]]:
    """Measures `ours` and `theirs` alternately, `rounds` times after a warm-up, and returns the results of each."""
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

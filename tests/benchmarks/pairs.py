"""Times two things in turn, so that a machine that gets slower gets slower for both."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Row", "compare", "run"]


@dataclass(frozen=True)
class Row:
    """One line of the table: medians of both sides (seconds, or bytes), their ratio, and what it may be at most."""

    what: str
    ours: float
    reference: str
    theirs: float
    at_most: float
    unit: str = "s"

    @property
    def ratio(self) -> float:
        """Ours over theirs."""
        return self.ours / self.theirs

    def __str__(self) -> str:
        verdict = "ok" if self.ratio <= self.at_most else "MISSED"
        scale, shown = (1e3, "ms") if self.unit == "s" else (1e-6, "MB")
        return (
            f"{self.what:<52} {self.ours * scale:8.1f} {shown}   {self.theirs * scale:8.1f} {shown}   "
            f"{self.ratio:5.2f}   {self.at_most:4.2f}   {verdict:<6}  {self.reference}"
        )


def run(command: Sequence[str]) -> float:
    """Runs a command to its end and returns how many seconds that took."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return time.perf_counter() - begin


def compare(
    what: str,
    ours: Callable[[], float],
    reference: str,
    theirs: Callable[[], float],
    *,
    at_most: float,
    rounds: int,
    unit: str = "s",
) -> Row:
    """Measures `ours` and `theirs` in turn, `rounds` times after a warm-up, and compares the medians."""
    ours(), theirs()
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    mine, other = (statistics.median(values) for values in zip(*pairs, strict=True))
    return Row(what, mine, reference, other, at_most, unit)

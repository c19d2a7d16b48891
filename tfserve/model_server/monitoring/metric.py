"""Counters and histograms with labels, as TensorFlow's ``monitoring::Counter`` and ``monitoring::Sampler`` keep them.

``prometheus_client`` would keep them too, but cannot print them under the names that dashboards for TensorFlow Serving
ask for: it ends the name of each counter with ``_total``, and writes counts and bucket limits as ``10.0``.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Labels = tuple[str, ...]
"""The values of a metric's labels, in the order of their names."""

MAX_CELLS = 1000
"""How many combinations of label values a metric keeps apart; some of these values are words of a client."""

MAX_LABEL_LENGTH = 4096
"""Characters of the longest label value that is kept, which is also the longest path."""

OTHER = "(other)"
"""The value of every label of what is counted past these limits."""


class _Metric:
    """What all metrics have.

    Args:
        name: as TensorFlow registers it, such as ``/tensorflow/serving/request_count``.
        labels: the names of its labels.
    """

    def __init__(self, name: str, *labels: str) -> None:
        self.name = name
        self.labels = labels
        self._lock = threading.Lock()

    def _key(self, labels: Labels, cells: Mapping[Labels, object]) -> Labels:
        """Returns under which labels to count something that has `labels`."""
        if labels in cells or (len(cells) < MAX_CELLS and all(len(value) <= MAX_LABEL_LENGTH for value in labels)):
            return labels
        return (OTHER,) * len(labels)


class Counter(_Metric):
    """A number for each combination of label values, that only grows."""

    def __init__(self, name: str, *labels: str) -> None:
        super().__init__(name, *labels)
        self._values: dict[Labels, int] = {}

    def add(self, *labels: str, amount: int = 1) -> None:
        """Adds `amount`."""
        with self._lock:
            key = self._key(labels, self._values)
            self._values[key] = self._values.get(key, 0) + amount

    def first_value(self) -> int:
        """Returns the number of the combination of label values that is first when they are sorted; 0 for none."""
        return next((number for _, number in self.cells()), 0)

    def cells(self) -> list[tuple[Labels, int]]:
        """Returns the number for each combination of label values seen so far, sorted."""
        with self._lock:
            return sorted(self._values.items())


@dataclass
class Distribution:
    """What a histogram knows about one combination of label values.

    Attributes:
        counts: for each bucket how many values are in it; the last bucket has what is above all limits.
        total: the sum of all values.
    """

    counts: list[int]
    total: int = 0


@dataclass(frozen=True)
class Buckets:
    """The limits of a histogram's buckets, growing exponentially.

    Args:
        scale: the first limit.
        growth: how many times the one before each other limit is.
        count: how many limits there are; one more bucket has what is above them.

    Source: ``monitoring::Buckets::Exponential`` of TensorFlow.
    """

    scale: float
    growth: float
    count: int
    limits: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "limits", tuple(self._limits()))

    def _limits(self) -> Iterator[float]:
        limit = self.scale
        for _ in range(self.count):
            yield limit
            limit *= self.growth


class Histogram(_Metric):
    """How values are distributed, for each combination of label values; a value at a limit is below it."""

    def __init__(self, buckets: Buckets, name: str, *labels: str) -> None:
        super().__init__(name, *labels)
        self.limits = buckets.limits
        self._distributions: dict[Labels, Distribution] = {}

    def observe(self, *labels: str, value: int) -> None:
        """Counts a value."""
        index = bisect_left(self.limits, value)
        with self._lock:
            key = self._key(labels, self._distributions)
            found = self._distributions.get(key)
            if found is None:
                found = self._distributions[key] = Distribution([0] * (len(self.limits) + 1))
            found.counts[index] += 1
            found.total += value

    def cells(self) -> list[tuple[Labels, Distribution]]:
        """Returns a copy of the distribution for each combination of label values seen so far, sorted."""
        with self._lock:
            found = [(labels, Distribution(list(d.counts), d.total)) for labels, d in self._distributions.items()]
        return sorted(found, key=lambda cell: cell[0])

"""Counters and histograms with labels, like TensorFlow's ``monitoring::Counter`` and ``monitoring::Sampler``.

``prometheus_client`` has them too, but cannot print them under the names that dashboards for TensorFlow Serving use: it
appends ``_total`` to the name of each counter, and writes counts and bucket limits as ``10.0``.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Labels = tuple[str, ...]
"""The values of a metric's labels, in the order of their names."""

MAX_CELLS = 1000
"""How many combinations of label values a metric keeps apart; clients choose some of these values."""

MAX_LABEL_LENGTH = 4096
"""Maximum length of a label value in characters, which is also the maximum length of a path."""

MAX_LABEL_BYTES = 1 << 18
"""Maximum size of all label values of a metric together, in UTF-8."""

OTHER = "(other)"
"""The value of all labels beyond these limits."""


class _Metric:
    """The parts that all metrics share.

    Args:
        name: as TensorFlow registers it, such as ``/tensorflow/serving/request_count``.
        labels: the names of its labels.
    """

    def __init__(self, name: str, *labels: str) -> None:
        self.name = name
        self.labels = labels
        self._lock = threading.Lock()
        self._label_bytes = 0  # of all label values together

    def _key(self, labels: Labels, cells: Mapping[Labels, object]) -> Labels:
        """Returns the labels to count under: `labels`, or OTHER for each of them beyond the limits."""
        if labels in cells:
            return labels
        if len(cells) < MAX_CELLS and all(len(value) <= MAX_LABEL_LENGTH for value in labels):
            size = sum(len(value.encode(errors="replace")) for value in labels)
            if self._label_bytes + size <= MAX_LABEL_BYTES:
                self._label_bytes += size
                return labels
        return (OTHER,) * len(labels)


class Counter(_Metric):
    """A number for each combination of label values, which only increases."""

    def __init__(self, name: str, *labels: str) -> None:
        super().__init__(name, *labels)
        self._values: dict[Labels, int] = {}

    def add(self, *labels: str, amount: int = 1) -> None:
        """Adds `amount`."""
        with self._lock:
            key = self._key(labels, self._values)
            self._values[key] = self._values.get(key, 0) + amount

    def first_value(self) -> int:
        """Returns the number of the first combination of label values in sorted order; 0 if there is none."""
        return next((number for _, number in self.cells()), 0)

    def cells(self) -> list[tuple[Labels, int]]:
        """Returns the number for each combination of label values seen so far, sorted."""
        with self._lock:
            return sorted(self._values.items())


@dataclass
class Distribution:
    """The values of one combination of labels in a histogram.

    Attributes:
        counts: how many values are in each bucket; the last bucket has the values above all limits.
        total: the sum of all values.
    """

    counts: list[int]
    total: int = 0


@dataclass(frozen=True)
class Buckets:
    """The limits of a histogram's buckets, growing exponentially.

    Args:
        scale: the first limit.
        growth: the ratio of each limit to the one before.
        count: the number of limits; there is one more bucket, for the values above them.

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
    """The distribution of values for each combination of label values; a value equal to a limit is in its bucket."""

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

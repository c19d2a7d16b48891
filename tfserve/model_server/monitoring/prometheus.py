"""The metrics page in Prometheus' text format, with the layout of TensorFlow Serving's page.

Source: ``util/prometheus_exporter.cc`` of TensorFlow Serving. There are two differences: a line feed in a label is
escaped, as Prometheus requires, and sums have all their digits instead of six.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tfserve.model_server.monitoring.metric import Counter, Distribution, Histogram, Labels

DEFAULT_PATH = "/monitoring/prometheus/metrics"

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def page(metrics: Iterable[Counter | Histogram]) -> bytes:
    """Returns the page: the metrics sorted by name, each with all its cells."""
    lines: list[str] = []
    for metric in sorted(metrics, key=lambda metric: metric.name):
        lines.extend(_counter(metric) if isinstance(metric, Counter) else _histogram(metric))
    return "".join(f"{line}\n" for line in lines).encode(errors="replace")


def _counter(metric: Counter) -> Iterator[str]:
    name = _name(metric.name)
    yield f"# TYPE {name} counter"
    for values, number in metric.cells():
        yield f"{name}{{{_labels(metric.labels, values)}}} {number}"


def _histogram(metric: Histogram) -> Iterator[str]:
    name = _name(metric.name)
    limits = [*(f"{limit:g}" for limit in metric.limits), "+Inf"]
    yield f"# TYPE {name} histogram"
    for values, distribution in metric.cells():
        yield from _cell(name, _labels(metric.labels, values), limits, distribution)


def _cell(name: str, labels: str, limits: list[str], distribution: Distribution) -> Iterator[str]:
    start = f"{labels}," if labels else ""
    count = 0
    for limit, number in zip(limits, distribution.counts, strict=True):
        count += number
        yield f'{name}_bucket{{{start}le="{limit}"}} {count}'
    yield f"{name}_sum{{{labels}}} {distribution.total}"
    yield f"{name}_count{{{labels}}} {count}"


def _name(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", ":", name)


def _labels(names: tuple[str, ...], values: Labels) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in zip(names, values, strict=True))

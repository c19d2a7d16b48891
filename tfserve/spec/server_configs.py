"""Parses the settings of batching and monitoring, and writes the text files from which the server reads them.

Sources: ``session_bundle_config.proto`` and ``monitoring_config.proto`` of TensorFlow Serving.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from tfserve.errors import UsageError
from tfserve.text import did_you_mean

__all__ = [
    "BATCHING",
    "METRICS_PATH",
    "BatchingValue",
    "batching_text",
    "monitoring_text",
    "parse_batching",
    "parse_monitoring",
]

BatchingValue = bool | int | str | tuple[int, ...]

METRICS_PATH = "/monitoring/prometheus/metrics"
_INTEGER = re.compile(r"[0-9]{1,18}")
_URL_PATH = re.compile(r"/[A-Za-z0-9_./-]*")


class Parameter(NamedTuple):
    """One of the ``BatchingParameters``: its type, whether a message wraps its value, and its description."""

    type: Literal["integer", "boolean", "string", "integers"]
    wrapped: bool
    help: str


BATCHING: Mapping[str, Parameter] = {
    "max_batch_size": Parameter("integer", True, "Maximum size of a batch in rows; 1000 by default."),
    "batch_timeout_micros": Parameter("integer", True, "Microseconds that a batch waits for more rows."),
    "max_enqueued_batches": Parameter("integer", True, "Maximum number of batches that wait for a thread."),
    "num_batch_threads": Parameter("integer", True, "Number of threads that run batches; one per CPU by default."),
    "thread_pool_name": Parameter("string", True, "Name of the thread pool."),
    "allowed_batch_sizes": Parameter("integers", False, "Sizes to pad batches to; the last one is max_batch_size."),
    "enable_large_batch_splitting": Parameter(
        "boolean", True, "Whether to split a large request into several batches."
    ),
    "max_execution_batch_size": Parameter("integer", True, "Maximum size of a batch after a large request is split."),
    "pad_variable_length_inputs": Parameter(
        "boolean", False, "Whether to pad rows of different shapes into one batch."
    ),
}


def parse_batching(assignments: Iterable[str]) -> dict[str, BatchingValue]:
    """Parses ``KEY=VALUE`` each, or ``on`` for the defaults of the server.

    Raises:
        UsageError: a key or a value is not valid, or parameters contradict each other.
    """
    parameters: dict[str, BatchingValue] = {}
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if assignment == "on":
            continue
        if not separator and name in BATCHING:
            raise UsageError(f"{name} needs a value.", hint=f"Write it as {name}=VALUE.")
        if name not in BATCHING:
            hint = did_you_mean(name, BATCHING) or f"Use on, or KEY=VALUE with one of: {', '.join(BATCHING)}."
            raise UsageError(f"{assignment[:80]!r} is not a batching parameter.", hint=hint)
        parameters[name] = _value(name, text)
    _check_batching(parameters)
    return parameters


def parse_monitoring(text: str) -> str:
    """Parses the URL path of the metrics, or ``on`` for the default path.

    Raises:
        UsageError: `text` is neither.
    """
    path = METRICS_PATH if text == "on" else text
    _check_metrics_path(path)
    return path


def _check_metrics_path(path: str) -> None:
    """Raises UsageError if `path` is not a valid URL path for the metrics."""
    if not _URL_PATH.fullmatch(path):
        raise UsageError(
            f"{path[:80]!r} is not a URL path for the metrics.", hint=f"Use on, or a path such as {METRICS_PATH}"
        )


def _check_batching(parameters: Mapping[str, BatchingValue]) -> None:
    """Refuses batching parameters that would prevent the server from loading models.

    Raises:
        UsageError: they contradict each other.
    """
    sizes = parameters.get("allowed_batch_sizes", ())
    if isinstance(sizes, tuple) and sizes:
        largest = parameters.get("max_batch_size", 1000)
        if list(sizes) != sorted(set(sizes)) or sizes[0] < 1:
            raise UsageError(
                "The sizes in allowed_batch_sizes are not in ascending order.",
                hint="For example: 8,16,32",
                about=("allowed_batch_sizes",),
            )
        if sizes[-1] != largest:
            raise UsageError(
                f"The last size in allowed_batch_sizes is {sizes[-1]}, but max_batch_size is {largest}.",
                hint="Set both to the same number, as the server requires.",
                about=("allowed_batch_sizes",),
            )
    for name in ("max_batch_size", "num_batch_threads", "max_execution_batch_size"):
        if parameters.get(name) == 0:
            raise UsageError(f"{name} cannot be 0.", hint=BATCHING[name].help, about=(name,))


def batching_text(parameters: Mapping[str, BatchingValue]) -> str:
    """Returns ``BatchingParameters`` in protobuf's text format."""
    lines = []
    for name, value in parameters.items():
        for one in value if isinstance(value, tuple) else (value,):
            literal = f'"{one}"' if isinstance(one, str) else str(one).lower()
            lines.append(f"{name} {{ value: {literal} }}\n" if BATCHING[name].wrapped else f"{name}: {literal}\n")
    return "".join(lines)


def monitoring_text(path: str) -> str:
    """Returns a ``MonitoringConfig`` in protobuf's text format, with the metrics at `path`."""
    return f'prometheus_config {{ enable: true path: "{path}" }}\n'


def _value(name: str, text: str) -> BatchingValue:
    kind = BATCHING[name].type
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    if kind == "integer" and _INTEGER.fullmatch(text):
        return int(text)
    if kind == "integers" and all(map(_INTEGER.fullmatch, text.split(","))):
        return tuple(map(int, text.split(",")))
    if kind == "string" and re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", text):
        return text
    raise UsageError(f"{name}={text[:80]} is not a value of type {kind}.", hint=BATCHING[name].help)

"""Batching and monitoring as a person writes them, and the text files in which the server wants them.

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
    "check_batching",
    "check_metrics_path",
    "monitoring_text",
    "parse_batching",
    "parse_monitoring",
]

BatchingValue = bool | int | str | tuple[int, ...]

METRICS_PATH = "/monitoring/prometheus/metrics"
_INTEGER = re.compile(r"[0-9]{1,18}")
_URL_PATH = re.compile(r"/[A-Za-z0-9_./-]*")


class Parameter(NamedTuple):
    """One of the ``BatchingParameters``: its type, whether it stands in a message of its own, and one line of help."""

    type: Literal["integer", "boolean", "string", "integers"]
    wrapped: bool
    help: str


BATCHING: Mapping[str, Parameter] = {
    "max_batch_size": Parameter("integer", True, "Largest batch, in rows; 1000 by default."),
    "batch_timeout_micros": Parameter("integer", True, "How long a batch waits for more rows, in microseconds."),
    "max_enqueued_batches": Parameter("integer", True, "Batches that may wait for a thread."),
    "num_batch_threads": Parameter("integer", True, "Threads that run batches; one for each CPU by default."),
    "thread_pool_name": Parameter("string", True, "Name of those threads."),
    "allowed_batch_sizes": Parameter("integers", False, "Sizes to fill batches up to; the last is max_batch_size."),
    "enable_large_batch_splitting": Parameter("boolean", True, "Spreads a large request over several batches."),
    "max_execution_batch_size": Parameter("integer", True, "Largest batch that is run, where requests are split."),
    "pad_variable_length_inputs": Parameter("boolean", False, "Pads rows of different shapes to share a batch."),
}


def parse_batching(assignments: Iterable[str]) -> dict[str, BatchingValue]:
    """Reads ``KEY=VALUE`` each, or ``on`` for batching as the server has it by itself.

    Raises:
        UsageError: a key or a value is none, or they contradict each other.
    """
    parameters: dict[str, BatchingValue] = {}
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if assignment == "on":
            continue
        if not separator or name not in BATCHING:
            hint = did_you_mean(name, BATCHING) or f"Say on, or KEY=VALUE with one of: {', '.join(BATCHING)}."
            raise UsageError(f"{assignment[:80]!r} is not a batching parameter.", hint=hint)
        parameters[name] = _value(name, text)
    check_batching(parameters)
    return parameters


def parse_monitoring(text: str) -> str:
    """Reads the URL path of the page of metrics, or ``on`` for the usual one.

    Raises:
        UsageError: `text` is neither.
    """
    path = METRICS_PATH if text == "on" else text
    check_metrics_path(path)
    return path


def check_metrics_path(path: str) -> None:
    """Raises UsageError if `path` is not one of a URL."""
    if not _URL_PATH.fullmatch(path):
        raise UsageError(
            f"{path[:80]!r} is not the path of a page of metrics.", hint=f"Say on, or a path such as {METRICS_PATH}"
        )


def check_batching(parameters: Mapping[str, BatchingValue]) -> None:
    """Refuses batching parameters with which the server would not load a model.

    Raises:
        UsageError: they contradict each other.
    """
    sizes = parameters.get("allowed_batch_sizes", ())
    if isinstance(sizes, tuple) and sizes:
        largest = parameters.get("max_batch_size", 1000)
        if list(sizes) != sorted(set(sizes)) or sizes[0] < 1:
            raise UsageError(
                "allowed_batch_sizes has to rise from size to size.",
                hint="For example 8,16,32",
                about=("allowed_batch_sizes",),
            )
        if sizes[-1] != largest:
            raise UsageError(
                f"The last of allowed_batch_sizes is {sizes[-1]}, and max_batch_size is {largest}.",
                hint="The server wants the two to be the same.",
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
            shown = f'"{one}"' if isinstance(one, str) else str(one).lower()
            lines.append(f"{name} {{ value: {shown} }}\n" if BATCHING[name].wrapped else f"{name}: {shown}\n")
    return "".join(lines)


def monitoring_text(path: str) -> str:
    """Returns a ``MonitoringConfig`` in protobuf's text format, with a page of metrics at `path`."""
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

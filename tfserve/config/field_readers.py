"""Reads the parts of a YAML file as values, each complaint with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from tfserve.config.document import Part
from tfserve.errors import TfserveError
from tfserve.spec import values
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.server_configs import BATCHING, METRICS_PATH, BatchingValue, parse_batching, parse_monitoring
from tfserve.spec.server_flags import parse_server_flags
from tfserve.text import did_you_mean

__all__ = [
    "Context",
    "Place",
    "choice",
    "integer",
    "literal",
    "parsed",
    "read_batching",
    "read_bool",
    "read_environment",
    "read_flags",
    "read_gpus",
    "read_monitoring",
    "read_number",
    "read_smoke_test",
    "read_text",
    "told",
]

T = TypeVar("T")

_NUMBER = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Context:
    """What reading a field may need besides its text: where relative paths start, and the environment."""

    directory: Path
    variables: Mapping[str, str]


class Place(Protocol):
    """Where something stands in a file."""

    def placed(self, error: TfserveError) -> TfserveError:
        """Returns `error`, with its place."""


def told(place: Place, parse: Callable[[], T]) -> T:
    """Returns what `parse` returns; its complaint is given file, line and path."""
    try:
        return parse()
    except TfserveError as error:
        raise place.placed(error) from None


def literal(part: Part, what: str, allowed: Mapping[str, T]) -> T:
    """Reads one of a few words; what is not quoted, or comes from a variable, may be any of them."""
    text = part.text(what)
    if text not in allowed or (part.kind == "string" and text in ("true", "false") and text == part.node.value):
        part.expected(what, did_you_mean(text, allowed) if text not in allowed else None)
    return allowed[text]


def integer(part: Part, what: str) -> int:
    """Reads a whole number of 0 or more."""
    text = part.text(what)
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        part.expected(what)
    return int(text)


def read_text(part: Part, context: Context) -> str:
    """Reads a text."""
    return part.text("text")


def read_number(part: Part, context: Context) -> float:
    """Reads a number."""
    text = part.text("a number")
    if not _NUMBER.fullmatch(text):
        part.expected("a number")
    return float(text)


def read_bool(part: Part, context: Context) -> bool:
    """Reads true or false."""
    return literal(part, "true or false", {"true": True, "false": False})


def parsed(parse: Callable[[str], T], what: str) -> Callable[[Part, Context], T]:
    """Makes a reader of a function that takes a text."""

    def read(part: Part, context: Context) -> T:
        text = part.text(what)
        return told(part, lambda: parse(text))

    return read


def choice(*words: str) -> Callable[[Part, Context], str]:
    """Makes a reader of one of these words."""
    return lambda part, context: literal(part, f"one of {', '.join(words)}", {word: word for word in words})


def read_environment(part: Part, context: Context) -> dict[str, str]:
    """Reads variables: a mapping, where nothing stands for the value of the environment, or a list."""
    if part.kind == "sequence":
        assignments = [(item, item.text("NAME=VALUE")) for item in part.items("a list")]
    else:
        assignments = [
            (value, name if value.kind == "nothing" else f"{name}={value.text('text')}")
            for name, value in part.fields("variables: a mapping, or a list of NAME=VALUE").items()
        ]
    environment: dict[str, str] = {}
    for value, assignment in assignments:
        environment |= told(value, lambda: values.parse_environment([assignment], context.variables))  # noqa: B023
    return environment


def read_flags(part: Part, context: Context) -> tuple[str, ...]:
    """Reads server flags by name."""
    flags: list[str] = []
    for name, value in part.fields("server flags by name: a mapping").items():
        flag = f"--{name.removeprefix('--')}={value.text('a value')}"
        flags += told(value, lambda: parse_server_flags([flag], context.directory))  # noqa: B023
    return tuple(flags)


def read_gpus(part: Part, context: Context) -> GpuRequest:
    """Reads all, a number of GPUs, or which: a list, or what ``run`` takes."""
    if part.kind == "sequence":
        text = "device=" + ",".join(item.text("a GPU: its index, or its UUID") for item in part.items("a list"))
    else:
        text = part.text("all, a number of GPUs, or a list of them")
    return told(part, lambda: GpuRequest.parse(text))


def read_batching(part: Part, context: Context) -> dict[str, BatchingValue] | None:
    """Reads true, false, or batching parameters."""
    if part.kind != "mapping":
        return {} if literal(part, "true, false, or parameters: a mapping", {"true": True, "false": False}) else None
    values = {}
    for name, value in part.fields("batching parameters", BATCHING).items():
        listed = [item.text("a number") for item in value.items("a list")] if value.kind == "sequence" else None
        text = ",".join(listed) if listed is not None else value.text(f"a value of type {BATCHING[name].type}")
        values[name] = text
        if name != "allowed_batch_sizes":
            told(value, lambda: parse_batching([f"{name}={text}"]))  # noqa: B023
    return told(part, lambda: parse_batching(f"{name}={text}" for name, text in values.items()))


def read_monitoring(part: Part, context: Context) -> str | None:
    """Reads true, false, or the path of a page of metrics."""
    if part.kind != "mapping":
        wanted = literal(part, "true, false, or path: /…", {"true": True, "false": False})
        return METRICS_PATH if wanted else None
    path = part.fields("path: /…", ["path"]).get("path")
    if path is None:
        return METRICS_PATH
    text = path.text("a path")
    return told(path, lambda: parse_monitoring(text))


def read_smoke_test(part: Part, context: Context) -> str | bool:
    """Reads true, false, a request in JSON, or the path of one."""
    text = part.text("true, false, a request, or a file")
    if part.kind == "scalar" and text in ("true", "false"):
        return text == "true"
    return text if text.lstrip().startswith("{") else str(context.directory / text)

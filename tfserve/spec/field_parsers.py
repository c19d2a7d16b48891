"""Parsers of fields, which turn text or plain data into values of a spec.

The command line passes text, a YAML file passes text and plain data, and a Python program passes Python values. One
parser accepts all of them, so that a value is valid in every front end or in none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfserve.errors import Attribute, UsageError, Wording, about
from tfserve.spec import values
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.port_request import PortRequest
from tfserve.spec.server_configs import BATCHING, METRICS_PATH, BatchingValue, parse_batching, parse_monitoring
from tfserve.spec.server_flags import parse_server_flags
from tfserve.text import did_you_mean

__all__ = [
    "Context",
    "MismatchError",
    "Scalar",
    "parse_batching_field",
    "parse_boolean",
    "parse_environment_field",
    "parse_file",
    "parse_flags",
    "parse_gpus",
    "parse_metrics",
    "parse_number",
    "parse_one_of",
    "parse_port",
    "parse_request",
    "parse_text",
    "text_parser",
    "unknown_field",
]

_NUMBER = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class Context:
    """What values may refer to.

    Attributes:
        directory: the directory that paths are relative to.
        variables: the environment variables that a spec may pass on by name.
    """

    directory: Path = field(default_factory=Path)
    variables: Mapping[str, str] = field(default_factory=lambda: os.environ)


class Scalar(str):
    """A scalar of a YAML file, kept as text: the type of its field decides whether ``2.10`` or ``true`` means more.

    Attributes:
        quoted: whether the scalar is in quotes, which makes it text for every field.
        written: its text in the file, in which variables are not resolved.
    """

    __slots__ = ("quoted", "written")
    quoted: bool
    written: str

    def __new__(cls, text: str, *, quoted: bool, written: str | None = None) -> Scalar:
        """Creates a scalar from its text."""
        scalar = super().__new__(cls, text)
        scalar.quoted = quoted
        scalar.written = text if written is None else written
        return scalar


class MismatchError(UsageError):
    """A value that is not of the expected kind.

    Attributes:
        expected: a description of what was expected.
        found: a description of what was found.
    """

    def __init__(self, expected: str, value: object, hint: str | None = None) -> None:
        kinds: Mapping[type, str] = {dict: "a mapping", list: "a list", tuple: "a list", type(None): "nothing"}
        self.expected = expected
        shown = value.written if isinstance(value, Scalar) else str(value)  # a variable may contain a secret
        self.found = kinds.get(type(value)) or repr(shown[:80])
        super().__init__(f"Expected {expected}, found {self.found}.", hint=hint)

    def name(self, attribute: str) -> None:
        """Adds the name of the attribute that has the value to the message."""
        self.wording = Wording(
            "Expected {expected} for {attribute}, found {found}.",
            expected=self.expected,
            attribute=Attribute(attribute),
            found=self.found,
        )


def unknown_field(key: str, known: Sequence[str]) -> UsageError:
    """Returns the error for a key that is not one of the `known` keys."""
    hint = did_you_mean(key, known) or f"The valid fields are: {', '.join(known)}."
    return UsageError(f"There is no field {key[:80]!r}.", hint=hint, about=(key,))


def parse_text(value: object, context: Context, expected: str = "text") -> str:
    """Parses text; a number is accepted as text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise MismatchError(expected, value)
    return str(value)


def text_parser(parse: Callable[[str], Any], expected: str) -> Callable[[Any, Context], Any]:
    """Returns a parser of fields that passes the text of a value to `parse`."""
    return lambda value, context: parse(parse_text(value, context, expected))


def parse_one_of(value: object, expected: str, allowed: Mapping[str, Any]) -> Any:
    """Parses one of the `allowed` words; a quoted true or false is text, not a boolean."""
    if isinstance(value, bool) and str(value).lower() in allowed:
        return allowed[str(value).lower()]
    if not isinstance(value, str):
        raise MismatchError(expected, value)
    if value not in allowed or (value in _BOOLEANS and getattr(value, "quoted", True)):
        raise MismatchError(expected, value, did_you_mean(value, allowed) if value not in allowed else None)
    return allowed[value]


def parse_boolean(value: object, context: Context) -> bool:
    """Parses true or false."""
    return bool(parse_one_of(value, "true or false", _BOOLEANS))


def parse_number(value: object, context: Context) -> float:
    """Parses a number."""
    text = parse_text(value, context, "a number")
    if not _NUMBER.fullmatch(text):
        raise MismatchError("a number", value)
    return float(text)


def parse_file(value: object, context: Context) -> Path:
    """Parses the path of a file, and makes it absolute."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    return (context.directory / parse_text(value, context, "the path of a file")).absolute()


def parse_port(value: object, context: Context) -> PortRequest:
    """Parses a port, or ``none``."""
    return PortRequest.parse(parse_text(value, context, "a port number or none"))


def parse_gpus(value: object, context: Context) -> GpuRequest:
    """Parses all, a number of GPUs, or a list of indices or UUIDs."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = "device=" + ",".join(parse_text(each, context, "the index or UUID of a GPU") for each in value)
    return GpuRequest.parse(parse_text(value, context, "all, a number of GPUs, or a list of GPUs"))


def parse_environment_field(value: object, context: Context) -> dict[str, str]:
    """Parses a mapping of variables, or a list of ``NAME=VALUE``; a name without a value passes the variable on."""
    expected = "a mapping of variables, or a list of NAME=VALUE"
    assignments: list[tuple[str | int, str]]
    if isinstance(value, Mapping):
        assignments = [
            (name, name if each is None else f"{name}={_text_at(name, each, context)}") for name, each in value.items()
        ]
    elif isinstance(value, Sequence) and not isinstance(value, str):
        assignments = [(index, _text_at(index, each, context, "NAME=VALUE")) for index, each in enumerate(value)]
    else:
        raise MismatchError(expected, value)
    environment: dict[str, str] = {}
    for key, assignment in assignments:
        with about(key):
            environment |= values.parse_environment([assignment], context.variables)
    return environment


def _text_at(key: str | int, value: object, context: Context, expected: str = "text") -> str:
    """Parses the text at a key or index of a value; booleans become ``true`` and ``false``."""
    with about(key):
        return parse_text(str(value).lower() if isinstance(value, bool) else value, context, expected)


def parse_flags(value: object, context: Context) -> tuple[str, ...]:
    """Parses a mapping of server flags by name, or a list of ``--name=value``."""
    if isinstance(value, Mapping):
        entries = [
            (name, f"--{name.removeprefix('--')}={_text_at(name, each, context, 'a value')}")
            for name, each in value.items()
        ]
    elif isinstance(value, Sequence) and not isinstance(value, str):
        entries = [(index, _text_at(index, each, context, "--name=value")) for index, each in enumerate(value)]
    else:
        raise MismatchError("a mapping of server flags by name", value)
    flags: list[str] = []
    for key, flag in entries:
        with about(key):
            flags += parse_server_flags([flag], context.directory)
    return tuple(flags)


def parse_batching_field(value: object, context: Context) -> dict[str, BatchingValue] | None:
    """Parses true, false, a mapping of batching parameters, or a list of ``KEY=VALUE``."""
    if isinstance(value, Mapping):
        for name in value:
            if name not in BATCHING:
                raise unknown_field(name, [*BATCHING])
        assignments = [(name, f"{name}={_parameter_text(name, each, context)}") for name, each in value.items()]
        for name, assignment in assignments:
            if name != "allowed_batch_sizes":  # it can only be checked together with the other parameters
                with about(name):
                    parse_batching([assignment])
        return parse_batching(assignment for _, assignment in assignments)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return parse_batching(parse_text(each, context, "on, or KEY=VALUE") for each in value)
    expected = "true, false, or a mapping of parameters"
    return {} if parse_one_of(value, expected, {**_BOOLEANS, "on": True}) else None


def _parameter_text(name: str, value: object, context: Context) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        with about(name):
            return ",".join(parse_text(each, context, "a number") for each in value)
    return _text_at(name, value, context, f"a value of type {BATCHING[name].type}")


def parse_metrics(value: object, context: Context) -> str | None:
    """Parses true, false, or the URL path of the metrics."""
    if isinstance(value, Mapping):
        for key in value:
            if key != "path":
                raise unknown_field(key, ["path"])
        with about("path"):
            return parse_monitoring(parse_text(value["path"], context, "a path")) if "path" in value else METRICS_PATH
    if isinstance(value, str) and value.startswith("/"):
        return parse_monitoring(value)
    expected = "true, false, or a URL path"
    return METRICS_PATH if parse_one_of(value, expected, {**_BOOLEANS, "on": True}) else None


def parse_request(value: object, context: Context) -> str | bool:
    """Parses whether to send a test request, or the request: JSON, a mapping, or the path of a file."""
    expected = "true, false, a request as JSON, or the path of a file"
    if isinstance(value, Mapping):
        import json

        return json.dumps(value)
    if isinstance(value, bool):
        return value
    text = parse_text(value, context, expected)
    if text in _BOOLEANS and not getattr(value, "quoted", True):
        return _BOOLEANS[text]
    return text if text.lstrip().startswith(("{", "[")) or text == "-" else str((context.directory / text).absolute())

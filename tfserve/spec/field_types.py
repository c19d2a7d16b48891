"""The types of fields: how a value is parsed, written to a file, and described by a JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tfserve.protos.own_server_flags import ALL_FLAGS_BY_NAME
from tfserve.spec import field_parsers as parsers
from tfserve.spec import values
from tfserve.spec.field_parsers import Context
from tfserve.spec.server_configs import BATCHING, BatchingValue
from tfserve.spec.server_flags import SET_BY_TFSERVE

__all__ = [
    "BATCHING_PARAMETERS",
    "BOOLEAN",
    "ENVIRONMENT",
    "FILE",
    "FLAGS",
    "GPUS",
    "HOST",
    "MEMORY",
    "METRICS",
    "NUMBER",
    "PORT",
    "REQUEST",
    "TEXT",
    "TEXT_SCHEMA",
    "FieldType",
    "Schema",
    "choice",
]

Schema = Mapping[str, Any]


class FieldType(NamedTuple):
    """A type of field.

    Attributes:
        parse: turns text or plain data into a value of a spec; raises UsageError, about the key or index within it.
        schema: the JSON Schema of what `parse` accepts from a file.
        python: the type annotation of the argument of `tfserve.serve`.
        write: turns a value of a spec into plain data for a file.
        choices: the valid words, if the value is one of a few.
    """

    parse: Callable[[Any, Context], Any]
    schema: Schema
    python: str
    write: Callable[[Any], Any] = lambda value: value
    choices: tuple[str, ...] = ()

    def example(self, text: str) -> str | float | bool | None:
        """Returns an example of a value from its text in a file; None if it is not a single value, or empty."""
        if not text or text.startswith(("[", "{")):
            return None
        if self.python in ("float", 'int | Literal["none"]'):
            return float(text) if "." in text else int(text)
        return text == "true" if text in ("true", "false") else text.strip('"')


def _write_flags(flags: tuple[str, ...]) -> dict[str, bool | int | float | str | None]:
    written: dict[str, bool | int | float | str | None] = {}
    for name, _, value in (flag[2:].partition("=") for flag in flags):
        flag_type = ALL_FLAGS_BY_NAME[name]
        written[name] = value if flag_type.type in ("string", "float") else flag_type.parse(value)
    return written


def _write_batching(parameters: Mapping[str, BatchingValue]) -> object:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in parameters.items()} or True


def choice(*words: str) -> FieldType:
    """Returns a type whose values are a few words."""
    expected = f"one of {', '.join(words)}"
    return FieldType(
        lambda value, context: parsers.parse_one_of(value, expected, {word: word for word in words}),
        {"anyOf": [{"enum": list(words)}, _VARIABLE]},
        f"Literal[{', '.join(map(repr, words))}]".replace("'", '"'),
        choices=words,
    )


_VARIABLE: Schema = {"type": "string", "pattern": r"\$"}
TEXT_SCHEMA: Schema = {"type": ["string", "number", "boolean"]}  # used as written
_INTEGER: Schema = {"type": ["integer", "string"]}
_BOOLEAN_SCHEMA: Schema = {"anyOf": [{"type": "boolean"}, _VARIABLE]}
_NUMBER_SCHEMA: Schema = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^-?[0-9.]|\$"}]}
_PORT_TEXT: Schema = {"type": "string", "pattern": r"^[0-9]+$|^\s*[Nn][Oo][Nn][Ee]\s*$|\$"}
_ONE_OR_MORE: Schema = {"anyOf": [_INTEGER, {"type": "array", "items": _INTEGER}]}
_BY_FLAG_TYPE: Mapping[str, Schema] = {
    "bool": {"type": ["boolean", "string"]},
    "int32": _INTEGER,
    "int64": _INTEGER,
    "float": {"type": ["number", "string"]},
    "string": TEXT_SCHEMA,
}
_BY_PARAMETER_TYPE: Mapping[str, Schema] = {
    "boolean": _BY_FLAG_TYPE["bool"],
    "integer": {**_INTEGER, "minimum": 0},
    "integers": _ONE_OR_MORE,
    "string": TEXT_SCHEMA,
}


def _closed(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties}


TEXT = FieldType(parsers.parse_text, TEXT_SCHEMA, "str")
BOOLEAN = FieldType(parsers.parse_boolean, _BOOLEAN_SCHEMA, "bool")
NUMBER = FieldType(parsers.parse_number, _NUMBER_SCHEMA, "float")
FILE = FieldType(parsers.parse_file, TEXT_SCHEMA, "str | os.PathLike[str]", str)
PORT = FieldType(
    parsers.parse_port,
    {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 65535}, _PORT_TEXT]},
    'int | Literal["none"]',
    lambda request: "none" if request.number is None else request.number,
)
HOST = FieldType(parsers.text_parser(values.parse_host, "an IP address"), TEXT_SCHEMA, "str")
MEMORY = FieldType(
    parsers.text_parser(values.parse_memory, "an amount of memory, such as 2g"), TEXT_SCHEMA, "int | str"
)
GPUS = FieldType(parsers.parse_gpus, _ONE_OR_MORE, "int | str | Sequence[int | str]", lambda gpus: gpus.option)
ENVIRONMENT = FieldType(
    parsers.parse_environment_field,
    {
        "anyOf": [
            {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}},
            {"type": "array", "items": TEXT_SCHEMA},
        ]
    },
    "Mapping[str, str] | Sequence[str]",
    dict,
)
BATCHING_PARAMETERS = FieldType(
    parsers.parse_batching_field,
    {
        "anyOf": [
            _BOOLEAN_SCHEMA,
            {"enum": ["on"]},
            {"type": "array", "items": {"type": "string"}},
            _closed(
                {
                    name: {**_BY_PARAMETER_TYPE[parameter.type], "description": parameter.help}
                    for name, parameter in BATCHING.items()
                }
            ),
        ]
    },
    "bool | Mapping[str, bool | int | str | Sequence[int]]",
    _write_batching,
)
METRICS = FieldType(
    parsers.parse_metrics,
    {"anyOf": [_BOOLEAN_SCHEMA, {"type": "string", "pattern": r"^/|^on$|\$"}, _closed({"path": TEXT_SCHEMA})]},
    "bool | str",
    lambda path: {"path": path},
)
FLAGS = FieldType(
    parsers.parse_flags,
    {
        "anyOf": [
            _closed(
                {
                    flag.name: {**_BY_FLAG_TYPE[flag.type], "description": flag.help}
                    for flag in ALL_FLAGS_BY_NAME.values()
                    if flag.name not in SET_BY_TFSERVE
                }
            ),
            {"type": "array", "items": {"type": "string"}},
        ]
    },
    "Mapping[str, bool | int | float | str] | Sequence[str]",
    _write_flags,
)
REQUEST = FieldType(parsers.parse_request, {"type": [*TEXT_SCHEMA["type"], "object"]}, "bool | str | Mapping[str, Any]")

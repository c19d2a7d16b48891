"""Every field that a server has in a YAML file, once: how it is read, written, checked, and said to ``run``.

A new option of ``tfserve run`` is one row here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from tfserve import spec as specs
from tfserve.config.document import Part, PlacedError
from tfserve.defaults import HOST, EngineChoice, PullPolicy
from tfserve.errors import UsageError
from tfserve.protos.server_flags import SERVER_FLAGS_BY_NAME
from tfserve.server_flags import SET_BY_TFSERVE, parse_server_flags
from tfserve.serving_files import BATCHING, METRICS_PATH, BatchingValue, parse_batching, parse_monitoring
from tfserve.spec import PortRequest

__all__ = ["FIELDS", "Context", "Field", "Schema", "integer", "literal", "told"]

T = TypeVar("T")
Schema = Mapping[str, Any]
_TEXT: Schema = {"type": "string"}
_PORT: Schema = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 65535}, {"const": "none"}, _TEXT]}
_VARIABLE: Schema = {"type": "string", "pattern": r"\$"}


@dataclass(frozen=True)
class Context:
    """What reading a field may need besides its text: where relative paths start, and the environment."""

    directory: Path
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Field:
    """One field of a server.

    Attributes:
        name: its key.
        option: the options of ``tfserve run`` that say the same.
        read: makes of a part the value of `attribute`.
        write: makes plain data of such a value again.
        schema: its JSON Schema.
        help: what it is, in one line.
        attribute: the attribute of `ServeSpec` or, with `launch`, of `LaunchOptions`.
        launch: whether it says how the server is started, and not what it is.
        example: a value for a first file.
    """

    name: str
    option: str
    read: Callable[[Part, Context], Any]
    write: Callable[[Any], Any]
    schema: Schema
    help: str
    attribute: str
    launch: bool = False
    example: str = ""


def told(part: Part, parse: Callable[[], T]) -> T:
    """Returns what `parse` returns; its complaint is given file, line and path."""
    try:
        return parse()
    except PlacedError:
        raise
    except UsageError as error:
        part.fail(error.message, error.hint)


def literal(part: Part, what: str, allowed: Mapping[str, T]) -> T:
    """Reads one of a few words; what is not quoted, or comes from a variable, may be any of them."""
    text = part.text(what)
    if text not in allowed or (part.kind == "string" and text in ("true", "false") and text == part.node.value):
        part.expected(what)
    return allowed[text]


def integer(part: Part, what: str) -> int:
    """Reads a whole number of 0 or more."""
    text = part.text(what)
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        part.expected(what)
    return int(text)


def _text(part: Part, context: Context) -> str:
    return part.text("text")


def _number(part: Part, context: Context) -> float:
    text = part.text("a number")
    try:
        return float(text)
    except ValueError:
        part.expected("a number")


def _bool(part: Part, context: Context) -> bool:
    return literal(part, "true or false", {"true": True, "false": False})


def _parsed(parse: Callable[[str], T], what: str) -> Callable[[Part, Context], T]:
    def read(part: Part, context: Context) -> T:
        text = part.text(what)
        return told(part, lambda: parse(text))

    return read


def _choice(*words: str) -> Callable[[Part, Context], str]:
    return lambda part, context: literal(part, f"one of {', '.join(words)}", {word: word for word in words})


def _environment(part: Part, context: Context) -> dict[str, str]:
    if part.kind == "sequence":
        assignments = [(item, item.text("NAME=VALUE")) for item in part.items("a list")]
    else:
        assignments = [
            (value, name if value.kind == "nothing" else f"{name}={value.text('text')}")
            for name, value in part.fields("variables: a mapping, or a list of NAME=VALUE").items()
        ]
    environment: dict[str, str] = {}
    for value, assignment in assignments:
        environment |= told(value, lambda: specs.parse_environment([assignment], context.variables))  # noqa: B023
    return environment


def _flags(part: Part, context: Context) -> tuple[str, ...]:
    flags: list[str] = []
    for name, value in part.fields("server flags by name: a mapping").items():
        flag = f"--{name.removeprefix('--')}={value.text('a value')}"
        flags += told(value, lambda: parse_server_flags([flag], context.directory))  # noqa: B023
    return tuple(flags)


def _batching(part: Part, context: Context) -> dict[str, BatchingValue] | None:
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


def _monitoring(part: Part, context: Context) -> str | None:
    if part.kind != "mapping":
        wanted = literal(part, "true, false, or path: /…", {"true": True, "false": False})
        return METRICS_PATH if wanted else None
    path = part.fields("path: /…", ["path"]).get("path")
    if path is None:
        return METRICS_PATH
    text = path.text("a path")
    return told(path, lambda: parse_monitoring(text))


def _smoke_test(part: Part, context: Context) -> str | bool:
    text = part.text("true, false, a request, or a file")
    if part.kind == "scalar" and text in ("true", "false"):
        return text == "true"
    return text if text.lstrip().startswith("{") else str(context.directory / text)


def _write_port(request: PortRequest) -> int | str:
    return "none" if request.number is None else request.number


def _write_flags(flags: tuple[str, ...]) -> dict[str, str | bool]:
    """Flags by name; of several values the last holds, as for the server."""
    pairs = (flag[2:].partition("=") for flag in flags)
    return {name: value if separator else "true" for name, separator, value in pairs}


def _write_batching(parameters: Mapping[str, BatchingValue]) -> object:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in parameters.items()} or True


def _same(value: Any) -> Any:
    return value


def _enum(*words: str) -> Schema:
    return {"anyOf": [{"enum": list(words)}, _VARIABLE]}


_BOOLEAN: Schema = {"anyOf": [{"type": "boolean"}, _VARIABLE]}
_NUMBER: Schema = {"anyOf": [{"type": "number", "minimum": 0}, _VARIABLE]}
_SCALAR: Schema = {"type": ["string", "number", "boolean"]}
_TYPES = {"bool": _BOOLEAN, "int32": {"type": ["integer", "string"]}, "int64": {"type": ["integer", "string"]}}
_TYPES |= {"float": {"type": ["number", "string"]}, "string": _SCALAR}
_FLAGS: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        flag.name: {**_TYPES[flag.type], "description": flag.help}
        for flag in SERVER_FLAGS_BY_NAME.values()
        if flag.name not in SET_BY_TFSERVE
    },
}
_BATCHING_TYPES: Mapping[str, Schema] = {
    "boolean": _BOOLEAN,
    "integer": {"anyOf": [{"type": "integer", "minimum": 0}, _VARIABLE]},
    "integers": {"type": "array", "items": {"type": ["integer", "string"]}},
    "string": _TEXT,
}
_BATCHING: Schema = {
    "anyOf": [
        {"type": "boolean"},
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                name: {**_BATCHING_TYPES[parameter.type], "description": parameter.help}
                for name, parameter in BATCHING.items()
            },
        },
    ]
}
_MONITORING: Schema = {
    "anyOf": [
        {"type": "boolean"},
        {"type": "object", "additionalProperties": False, "properties": {"path": _TEXT}},
    ]
}
_ENVIRONMENT: Schema = {
    "anyOf": [
        {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}},
        {"type": "array", "items": _TEXT},
    ]
}
_ENGINES, _PULLS = get_args(EngineChoice), get_args(PullPolicy)
_port = _parsed(PortRequest.parse, "a port, or none")
_memory = _parsed(specs.parse_memory, "an amount of memory, such as 2g")

FIELDS = (
    Field("engine", "--engine", _choice(*_ENGINES), _same, _enum(*_ENGINES), "What runs it.", "engine", True, "auto"),
    Field("image", "--image", _text, _same, _TEXT, "The serving image.", "image", example="tensorflow/serving"),
    Field("tag", "--tag", _text, _same, _SCALAR, "The image's tag.", "tag", example='"2.19.1"'),
    Field("platform", "--platform", _text, _same, _TEXT, "The image's platform.", "platform", example="linux/amd64"),
    Field("pull", "--pull", _choice(*_PULLS), _same, _enum(*_PULLS), "When to pull it.", "pull", True, "missing"),
    Field(
        *("rest_port", "--rest-port", _port, _write_port, _PORT),
        *("Host port of REST; 0 for any free one, or none.", "rest_port"),
        example="8501",
    ),
    Field(
        *("grpc_port", "--grpc-port", _port, _write_port, _PORT),
        *("Host port of gRPC; 0 for any free one, or none.", "grpc_port"),
        example="8500",
    ),
    Field(
        *("host", "--host", _parsed(specs.parse_host, "an IP address"), _same, _TEXT),
        *("Address to publish on; 0.0.0.0 for every network.", "host"),
        example=HOST,
    ),
    Field("gpu", "--gpu", _bool, _same, _BOOLEAN, "Require or refuse a GPU; left out: one if there is one.", "gpu"),
    Field(
        *("env", "--env", _environment, dict, _ENVIRONMENT, "Variables of the server's process.", "environment"),
        example='{TF_CPP_MIN_LOG_LEVEL: "1"}',
    ),
    Field("memory", "--memory", _memory, _same, _SCALAR, "Memory limit.", "memory", example="2g"),
    Field("cpus", "--cpus", _number, _same, _NUMBER, "CPU limit.", "cpus", example="1.5"),
    Field(
        *("restart", "--restart", _text, _same, _SCALAR, "no, always, unless-stopped or on-failure[:TIMES]."),
        "restart",
        example="unless-stopped",
    ),
    Field("rm", "--rm", _bool, _same, _BOOLEAN, "Remove the server when it stops.", "remove"),
    Field(
        *("batching", "--batching", _batching, _write_batching, _BATCHING),
        *("Run requests that come together as one batch: true, or parameters.", "batching"),
        example="{max_batch_size: 64, batch_timeout_micros: 1000}",
    ),
    Field(
        *("monitoring", "--monitoring", _monitoring, lambda path: {"path": path}, _MONITORING),
        *("A page of Prometheus metrics on the REST port: true, or its path.", "monitoring"),
        example="true",
    ),
    Field(
        *("server_flags", "--", _flags, _write_flags, _FLAGS),
        *("Flags of tensorflow_model_server by name; tfserve flags lists them.", "server_flags"),
        example="{file_system_poll_wait_seconds: 5}",
    ),
    Field("wait", "--wait", _number, _same, _NUMBER, "Seconds until it has to be ready.", "wait_seconds", True, "300"),
    Field(
        *("smoke_test", "--smoke-test --no-smoke-test", _smoke_test, _same, {"type": ["boolean", "string"]}),
        *("The request to try it with, or a file of one; false: do not try it.", "smoke_test"),
        launch=True,
        example="true",
    ),
    Field(
        *("keep_failed", "--keep-failed", _bool, _same, _BOOLEAN),
        *("Keep a server that did not become ready.", "keep_failed"),
        launch=True,
    ),
)
"""The fields of a server in the order of a file, besides ``models`` and ``config``."""

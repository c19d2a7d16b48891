"""Every field that a server has in a YAML file, once: how it is read, written, checked, and said to ``run``.

A new option of ``tfserve run`` is one row here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from tfserve.config.document import Part
from tfserve.config.field_readers import (
    Context,
    choice,
    parsed,
    read_batching,
    read_bool,
    read_environment,
    read_flags,
    read_gpus,
    read_monitoring,
    read_number,
    read_smoke_test,
    read_text,
)
from tfserve.defaults import AUTO, HOST, PullPolicy
from tfserve.engines import engine_names
from tfserve.protos.server_flags import SERVER_FLAGS_BY_NAME
from tfserve.spec import values
from tfserve.spec.serve import PortRequest
from tfserve.spec.server_configs import BATCHING, BatchingValue
from tfserve.spec.server_flags import SET_BY_TFSERVE

__all__ = ["CONFIG_HELP", "FIELDS", "TEXT", "Field", "Schema"]

Schema = Mapping[str, Any]
TEXT: Schema = {"type": ["string", "number", "boolean"]}  # as it was written; what is wrong with it, the program says
CONFIG_HELP = "A models.config of your own, in place of models."

_PORT_TEXT: Schema = {"type": "string", "pattern": r"^[0-9]+$|^\s*[Nn][Oo][Nn][Ee]\s*$|\$"}
_PORT: Schema = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 65535}, _PORT_TEXT]}
_VARIABLE: Schema = {"type": "string", "pattern": r"\$"}


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
        example: a value for the comment of a first file.
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


def _write_port(request: PortRequest) -> int | str:
    return "none" if request.number is None else request.number


def _write_flags(flags: tuple[str, ...]) -> dict[str, bool | int | float | str | None]:
    known = {
        name: (SERVER_FLAGS_BY_NAME[name], value) for name, _, value in (flag[2:].partition("=") for flag in flags)
    }
    return {
        name: value if flag.type in ("string", "float") else flag.parse(value) for name, (flag, value) in known.items()
    }


def _write_batching(parameters: Mapping[str, BatchingValue]) -> object:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in parameters.items()} or True


def _same(value: Any) -> Any:
    return value


def _enum(*words: str) -> Schema:
    return {"anyOf": [{"enum": list(words)}, _VARIABLE]}


_BOOLEAN: Schema = {"anyOf": [{"type": "boolean"}, _VARIABLE]}
_NUMBER: Schema = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^-?[0-9.]|\$"}]}
_INTEGER: Schema = {"type": ["integer", "string"]}
_TYPES = {"bool": {"type": ["boolean", "string"]}, "int32": _INTEGER, "int64": _INTEGER}
_TYPES |= {"float": {"type": ["number", "string"]}, "string": TEXT}
_ONE_OR_MORE: Schema = {"anyOf": [_INTEGER, {"type": "array", "items": _INTEGER}]}
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
    "boolean": _TYPES["bool"],
    "integer": {**_INTEGER, "minimum": 0},
    "integers": _ONE_OR_MORE,
    "string": TEXT,
}
_BATCHING: Schema = {
    "anyOf": [
        _BOOLEAN,
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
        _BOOLEAN,
        {"type": "object", "additionalProperties": False, "properties": {"path": TEXT}},
    ]
}
_ENVIRONMENT: Schema = {
    "anyOf": [
        {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}},
        {"type": "array", "items": TEXT},
    ]
}
_ENGINES, _PULLS = (AUTO, *engine_names()), get_args(PullPolicy)
_port = parsed(PortRequest.parse, "a port, or none")
_memory = parsed(values.parse_memory, "an amount of memory, such as 2g")

FIELDS = (
    Field("engine", "--engine", choice(*_ENGINES), _same, _enum(*_ENGINES), "What runs it.", "engine", True, "auto"),
    Field("image", "--image", read_text, _same, TEXT, "The serving image.", "image", example="tensorflow/serving"),
    Field("tag", "--tag", read_text, _same, TEXT, "The image's tag.", "tag", example='"2.19.1"'),
    Field("platform", "--platform", read_text, _same, TEXT, "The image's platform.", "platform", example="linux/amd64"),
    Field("pull", "--pull", choice(*_PULLS), _same, _enum(*_PULLS), "When to pull it.", "pull", True, "missing"),
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
        *("host", "--host", parsed(values.parse_host, "an IP address"), _same, TEXT),
        *("Address to publish on; 0.0.0.0 for every network.", "host"),
        example=HOST,
    ),
    Field(
        *("gpu", "--gpu", read_bool, _same, _BOOLEAN, "Require or refuse a GPU; left out: one if there is one.", "gpu"),
        example="true",
    ),
    Field(
        *("gpus", "--gpus", read_gpus, lambda gpus: gpus.option, _ONE_OR_MORE),
        *("Which GPUs: all, a number of them, or a list of indices or UUIDs.", "gpus"),
        example="[0]",
    ),
    Field(
        *("gpu_memory_fraction", "--gpu-memory-fraction", read_number, _same, _NUMBER),
        *("Take this share of each GPU's memory.", "gpu_memory_fraction"),
        example="0.3",
    ),
    Field(
        *("gpu_memory_growth", "--gpu-memory-growth", read_bool, _same, _BOOLEAN),
        *("Take a GPU's memory bit by bit, as it is needed.", "gpu_memory_growth"),
        example="true",
    ),
    Field(
        *("env", "--env", read_environment, dict, _ENVIRONMENT, "Variables of the server's process.", "environment"),
        example='{TF_CPP_MIN_LOG_LEVEL: "1"}',
    ),
    Field("memory", "--memory", _memory, _same, TEXT, "Memory limit.", "memory", example="2g"),
    Field("cpus", "--cpus", read_number, _same, _NUMBER, "CPU limit.", "cpus", example="1.5"),
    Field(
        *("restart", "--restart", read_text, _same, TEXT, "no, always, unless-stopped or on-failure[:TIMES]."),
        "restart",
        example="unless-stopped",
    ),
    Field("rm", "--rm", read_bool, _same, _BOOLEAN, "Remove the server when it stops.", "remove", example="true"),
    Field(
        *("batching", "--batching", read_batching, _write_batching, _BATCHING),
        *("Run requests that come together as one batch: true, or parameters.", "batching"),
        example="{max_batch_size: 64, batch_timeout_micros: 1000}",
    ),
    Field(
        *("monitoring", "--monitoring", read_monitoring, lambda path: {"path": path}, _MONITORING),
        *("A page of Prometheus metrics on the REST port: true, or its path.", "monitoring"),
        example="true",
    ),
    Field(
        *("server_flags", "--", read_flags, _write_flags, _FLAGS),
        *("Flags of tensorflow_model_server by name; tfserve flags lists them.", "server_flags"),
        example="{file_system_poll_wait_seconds: 5}",
    ),
    Field(
        "wait", "--wait", read_number, _same, _NUMBER, "Seconds until it has to be ready.", "wait_seconds", True, "300"
    ),
    Field(
        *("smoke_test", "--smoke-test --no-smoke-test", read_smoke_test, _same, TEXT),
        *("The request to try it with, or a file of one; false: do not try it.", "smoke_test"),
        launch=True,
        example="true",
    ),
    Field(
        *("keep_failed", "--keep-failed", read_bool, _same, _BOOLEAN),
        *("Keep a server that did not become ready.", "keep_failed"),
        launch=True,
        example="true",
    ),
)
"""The fields of a server in the order of a file, besides ``models`` and ``config``."""

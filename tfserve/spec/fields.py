"""The fields of a server: one table, from which every front end is built.

A new option of ``tfserve run`` needs an attribute of `ServeSpec` or `LaunchOptions`, and one row here. The options of
the command line, their completion and reference, the fields of ``tfserve.yaml``, its JSON Schema and the arguments of
`tfserve.serve` are all derived from the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from tfserve.defaults import AUTO, PullPolicy, engine_names
from tfserve.defaults import HOST as DEFAULT_HOST
from tfserve.errors import Attribute, UsageError, Wording, about
from tfserve.spec import field_types as types
from tfserve.spec.field import Field
from tfserve.spec.field_parsers import Context, MismatchError

__all__ = ["FIELDS", "GROUPS", "option_names", "parse_fields"]

MODEL, VERSIONS, ADDRESS, ENGINE, DOCKER, LOCAL = "Model", "Versions", "Address", "Engine", "Docker", "Local engine"
GPU, SERVER, READINESS, LIFETIME = "GPU", "Server", "Readiness and test request", "Lifetime"
GROUPS = (MODEL, VERSIONS, ADDRESS, ENGINE, DOCKER, LOCAL, GPU, SERVER, READINESS, LIFETIME)
"""The groups of options in ``tfserve run --help``, in their order."""


_ENGINES = types.choice(AUTO, *engine_names())._replace(python="str")  # an engine can be added later
_PULLS = types.choice(*get_args(PullPolicy))

FIELDS: tuple[Field, ...] = (
    Field(
        "config",
        MODEL,
        types.FILE,
        "Your own models.config file, which lists the models.",
        "FILE",
        example="./models.config",
        shared=False,
    ),
    Field(
        "rest_port",
        ADDRESS,
        types.PORT,
        "Host port of the REST API; 0 for any free port, or none.",
        "PORT",
        example="8501",
        default="8501",
    ),
    Field(
        "grpc_port",
        ADDRESS,
        types.PORT,
        "Host port of the gRPC API; 0 for any free port, or none.",
        "PORT",
        example="8500",
        default="8500",
    ),
    Field(
        "host",
        ADDRESS,
        types.HOST,
        "Host address to publish on; 0.0.0.0 for all interfaces.",
        "ADDRESS",
        example=DEFAULT_HOST,
        default=DEFAULT_HOST,
    ),
    Field(
        "engine",
        ENGINE,
        _ENGINES,
        "Engine that runs the server; auto selects the first one available.",
        launch=True,
        example="auto",
        default="auto",
    ),
    Field(
        "image",
        DOCKER,
        types.TEXT,
        "Serving image to run.",
        "IMAGE",
        example="tensorflow/serving",
        default="tensorflow/serving",
    ),
    Field(
        "tag",
        DOCKER,
        types.TEXT,
        "Tag of the image.",
        "TAG",
        example='"2.19.1"',
        default="latest",
    ),
    Field(
        "platform",
        DOCKER,
        types.TEXT,
        "Platform of the image, such as linux/amd64.",
        "PLATFORM",
        example="linux/amd64",
    ),
    Field(
        "pull",
        DOCKER,
        _PULLS,
        "When to pull the image.",
        launch=True,
        example="missing",
        default="missing",
    ),
    Field(
        "memory",
        DOCKER,
        types.MEMORY,
        "Memory limit, such as 2g.",
        "BYTES",
        short="-m",
        example="2g",
    ),
    Field("cpus", DOCKER, types.NUMBER, "CPU limit, such as 1.5.", "NUMBER", example="1.5"),
    Field(
        "restart",
        DOCKER,
        types.TEXT,
        "Restart policy: no, always, unless-stopped or on-failure[:N].",
        "POLICY",
        example="unless-stopped",
    ),
    Field(
        "unsandboxed",
        LOCAL,
        types.BOOLEAN,
        "Let the server use all files and connections that you can, not only its models.",
        argument="flag",
        example="true",
    ),
    Field(
        "reload_over_tcp",
        LOCAL,
        types.BOOLEAN,
        "Let everyone who reaches the gRPC port change the models, not only you.",
        argument="flag",
        example="true",
    ),
    Field(
        "gpu",
        GPU,
        types.BOOLEAN,
        "Require a GPU, or serve on the CPU.",
        argument="switch",
        example="true",
        default="use a GPU if one is available",
    ),
    Field(
        *(
            "gpus",
            GPU,
            types.GPUS,
            "GPUs to use: all, a number of GPUs, indices or UUIDs.",
            "all|N|0,2|UUID",
        ),
        example="[0]",
    ),
    Field(
        "gpu_memory_fraction",
        GPU,
        types.NUMBER,
        "Share of each GPU's memory to allocate, such as 0.3.",
        "FRACTION",
        example="0.3",
    ),
    Field(
        "gpu_memory_growth",
        GPU,
        types.BOOLEAN,
        "Allocate GPU memory as needed, instead of all at startup.",
        argument="flag",
        example="true",
    ),
    Field(
        "environment",
        SERVER,
        types.ENVIRONMENT,
        "Environment variables of the server.",
        "NAME[=VALUE]",
        argument="values",
        option="--env",
        short="-e",
        key="env",
        example='{TF_CPP_MIN_LOG_LEVEL: "1"}',
    ),
    Field(
        "batching",
        SERVER,
        types.BATCHING_PARAMETERS,
        "Enable batching, with parameters such as max_batch_size=64.",
        "on|KEY=VALUE",
        argument="values",
        example="{max_batch_size: 64, batch_timeout_micros: 1000}",
    ),
    Field(
        *(
            "monitoring",
            SERVER,
            types.METRICS,
            "Serve Prometheus metrics on the REST port, at the default path or another.",
            "on|PATH",
        ),
        example="true",
    ),
    Field(
        "server_flags",
        SERVER,
        types.FLAGS,
        "Flags of tensorflow_model_server; tfserve flags lists them.",
        argument="values",
        option="--",
        example="{file_system_poll_wait_seconds: 5}",
    ),
    Field(
        *(
            "wait_seconds",
            READINESS,
            types.NUMBER,
            "Seconds to wait for the server to become ready; 0 to return immediately.",
            "SECONDS",
        ),
        option="--wait",
        key="wait",
        launch=True,
        example="300",
        default="300",
    ),
    Field(
        "smoke_test",
        READINESS,
        types.REQUEST,
        "Test request: JSON, or a file that contains it. By default, one is generated.",
        "FILE|JSON",
        argument="value or off",
        off_help="Do not send a test request.",
        launch=True,
        example="true",
    ),
    Field(
        "keep_failed",
        READINESS,
        types.BOOLEAN,
        "Keep the server if it does not become ready.",
        argument="flag",
        python=False,
        launch=True,
        example="true",
    ),
    Field(
        "remove",
        LIFETIME,
        types.BOOLEAN,
        "Remove the server when it stops.",
        argument="flag",
        option="--rm",
        key="rm",
        example="true",
        python=False,
    ),
    Field(
        "replace",
        LIFETIME,
        types.BOOLEAN,
        "Replace an existing server with the same name.",
        argument="flag",
        key=None,
        launch=True,
    ),
)
"""The fields of a server besides its name and its models, in the order in which the help and files show them."""

_OTHER_OPTIONS = {
    "examples": "EXAMPLES",
    "inputs": "--input",
    "labels": "--label",
    "models": "MODEL_DIR",
    "values": "VALUES",
}
"""Attributes that are not fields -> the options and arguments that set them."""


def parse_fields(
    given: Mapping[str, object], context: Context, shared: Mapping[str, object], *, launch: bool
) -> dict[str, Any]:
    """Parses the values of fields: those of `LaunchOptions` with `launch`, else those of `ServeSpec`.

    Args:
        given: attributes -> text, or plain data; other keys are ignored.
        context: what the values may refer to.
        shared: values for attributes that are not in `given`; mappings and server flags in both are merged.
        launch: whether to parse the fields of `LaunchOptions`.

    Raises:
        UsageError: a value is not valid; about its attribute, and the key or index within it.
    """
    parsed: dict[str, Any] = {}
    for field in FIELDS:
        if field.launch == launch:
            for source in (shared, given):
                if field.attribute in source:
                    value = _parse(field, source[field.attribute], context)
                    parsed[field.attribute] = _merged(parsed.get(field.attribute), value)
    return parsed


def _parse(field: Field, value: object, context: Context) -> Any:
    with about(field.attribute):
        try:
            return field.type.parse(value, context)
        except MismatchError as error:
            error.name(field.attribute)
            if error.hint is None and field.type.example(field.example) is not None:
                example = Attribute(field.attribute, field.type.example(field.example))
                error.hint_wording = Wording("For example: {example}", example=example)
            raise
        except UsageError as error:
            if field.option != "--":  # an error about a server flag names the flag
                error.attribute = field.attribute
            raise


def _merged(shared: Any, own: Any) -> Any:
    """Returns a server's own value, with the entries of a shared value that it does not override."""
    if isinstance(shared, dict) and isinstance(own, dict):
        return {**shared, **own}
    if isinstance(shared, tuple) and isinstance(own, tuple):  # server flags, each as --name=value
        names = {flag.partition("=")[0] for flag in own}
        return (*(flag for flag in shared if flag.partition("=")[0] not in names), *own)
    return own


def option_names(attribute: str, value: Any = None) -> str:
    """Writes attributes as the command line does: ``--rest-port``, ``--rest-port 0``, ``--no-gpu``."""
    name = _OPTION_NAMES.get(attribute) or f"--{attribute.replace('_', '-')}"
    if isinstance(value, bool):
        return name if value else name.replace("--", "--no-", 1)
    return name if value is None else f"{name} {value}"


_OPTION_NAMES = {**{field.attribute: field.option_name for field in FIELDS}, **_OTHER_OPTIONS}

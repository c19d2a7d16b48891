"""The fields of a server: one table, from which every front end is built.

A new option of ``tfserve run`` is an attribute of `ServeSpec` or `LaunchOptions` and one row here. The options of the
command line, the fields of ``tfserve.yaml``, its JSON Schema, the arguments of `tfserve.serve`, completion and the
reference follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from tfserve.defaults import AUTO, PullPolicy, engine_names
from tfserve.defaults import HOST as DEFAULT_HOST
from tfserve.errors import Attribute, Wording, about
from tfserve.spec import field_types as types
from tfserve.spec.field_parsers import Context, MismatchError
from tfserve.spec.field_types import FieldType

__all__ = ["FIELDS", "GROUPS", "Field", "option_names", "parse_fields"]

Argument = Literal["value", "values", "flag", "switch", "value or off"]

MODEL, VERSIONS, ADDRESS, ENGINE, DOCKER = "Model", "Versions", "Address", "Engine", "Docker"
GPU, SERVER, READINESS, LIFETIME = "GPU", "Server", "Readiness and test request", "Lifetime"
GROUPS = (MODEL, VERSIONS, ADDRESS, ENGINE, DOCKER, GPU, SERVER, READINESS, LIFETIME)
"""The groups of options in ``tfserve run --help``, in their order."""


@dataclass(frozen=True)
class Field:
    """One field of a server.

    Attributes:
        attribute: the attribute of `ServeSpec` or, with `launch`, of `LaunchOptions`.
        group: the heading of its option in ``tfserve run --help``; one of `GROUPS`.
        type: how its value is parsed, written and described.
        help: what it is, in one line.
        metavar: what stands for the value in the help.
        argument: how the command line takes it: one value, repeated values, a flag, a flag with an opposite, or a value
            with a flag that switches it off.
        option: its option; empty for ``--`` and the attribute.
        short: its option of one letter; empty for none.
        key: its key in a file; empty for the attribute, None where a file does not have it.
        launch: whether it says how the server is started, and not what it is.
        shared: whether a file may set it for all of its servers.
        example: a value for the comment in a new file.
        default: what holds without it, as the help of the command line says it.
        python: whether `tfserve.serve` takes it; it removes its server at the end in any case.
        completion: what completes its value: the name of a completer in `tfserve.cli.completion`.
    """

    attribute: str
    group: str
    type: FieldType
    help: str
    metavar: str = ""
    argument: Argument = "value"
    option: str = ""
    short: str = ""
    key: str | None = ""
    launch: bool = False
    shared: bool = True
    example: str = ""
    default: str = ""
    python: bool = True
    completion: str = ""

    @property
    def name(self) -> str:
        """Its key in a file, or its attribute where a file does not have it."""
        return self.key or self.attribute

    @property
    def option_name(self) -> str:
        """Its option, such as ``--rest-port``."""
        return self.option or f"--{self.attribute.replace('_', '-')}"

    @property
    def off_option(self) -> str:
        """The option that is its opposite; empty where there is none."""
        return f"--no-{self.option_name[2:]}" if self.argument in ("switch", "value or off") else ""


_ENGINES, _PULLS = types.choice(AUTO, *engine_names()), types.choice(*get_args(PullPolicy))

FIELDS: tuple[Field, ...] = (
    Field(
        *("config", MODEL, types.FILE, "A models.config file of your own, which names the models.", "FILE"),
        example="./models.config",
        shared=False,
    ),
    Field(
        *("rest_port", ADDRESS, types.PORT, "Host port of the REST API; 0 for any free port, or none.", "PORT"),
        example="8501",
        default="8501",
    ),
    Field(
        *("grpc_port", ADDRESS, types.PORT, "Host port of the gRPC API; 0 for any free port, or none.", "PORT"),
        example="8500",
        default="8500",
    ),
    Field(
        *("host", ADDRESS, types.HOST, "Host address to publish on; 0.0.0.0 for every network.", "ADDRESS"),
        example=DEFAULT_HOST,
        default=DEFAULT_HOST,
    ),
    Field(
        *("engine", ENGINE, _ENGINES, "What runs the server; auto chooses the first engine that is available."),
        launch=True,
        example="auto",
        default="auto",
    ),
    Field(
        *("image", DOCKER, types.TEXT, "Serving image to run.", "IMAGE"),
        example="tensorflow/serving",
        default="tensorflow/serving",
    ),
    Field(
        *("tag", DOCKER, types.TEXT, "Tag of the image.", "TAG"),
        example='"2.19.1"',
        default="latest",
        completion="complete_tag",
    ),
    Field(
        *("platform", DOCKER, types.TEXT, "Platform of the image, such as linux/amd64.", "PLATFORM"),
        example="linux/amd64",
    ),
    Field(
        *("pull", DOCKER, _PULLS, "When to pull the image."),
        launch=True,
        example="missing",
        default="missing",
    ),
    Field(
        *("memory", DOCKER, types.MEMORY, "Memory limit, such as 2g.", "BYTES"),
        short="-m",
        example="2g",
    ),
    Field("cpus", DOCKER, types.NUMBER, "CPU limit, such as 1.5.", "NUMBER", example="1.5"),
    Field(
        *("restart", DOCKER, types.TEXT, "Restart policy: no, always, unless-stopped or on-failure[:N].", "POLICY"),
        example="unless-stopped",
    ),
    Field(
        *("gpu", GPU, types.BOOLEAN, "Require a GPU, or do without one."),
        argument="switch",
        example="true",
        default="a GPU is used if there is one",
    ),
    Field(
        *(
            "gpus",
            GPU,
            types.GPUS,
            "Which GPUs: all, a number of them, their indices or their UUIDs.",
            "all|N|0,2|UUID",
        ),
        example="[0]",
    ),
    Field(
        *("gpu_memory_fraction", GPU, types.NUMBER, "Share of each GPU's memory to allocate, such as 0.3.", "FRACTION"),
        example="0.3",
    ),
    Field(
        *("gpu_memory_growth", GPU, types.BOOLEAN, "Allocate GPU memory gradually, as it is needed."),
        argument="flag",
        example="true",
    ),
    Field(
        *("environment", SERVER, types.ENVIRONMENT, "Environment variable of the server; repeatable.", "NAME[=VALUE]"),
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
        "Enable batching, with parameters such as max_batch_size=64; repeatable.",
        "on|KEY=VALUE",
        argument="values",
        example="{max_batch_size: 64, batch_timeout_micros: 1000}",
    ),
    Field(
        *("monitoring", SERVER, types.METRICS, "Serve Prometheus metrics on the REST port, at this path.", "on|PATH"),
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
            "Seconds to wait for the server to be ready; 0 to return immediately.",
            "SECONDS",
        ),
        option="--wait",
        key="wait",
        launch=True,
        example="300",
        default="300",
    ),
    Field(
        *("smoke_test", READINESS, types.REQUEST, "Test request to send, instead of a generated one.", "FILE|JSON"),
        argument="value or off",
        launch=True,
        example="true",
    ),
    Field(
        *("keep_failed", READINESS, types.BOOLEAN, "Keep a server that did not become ready."),
        argument="flag",
        python=False,
        launch=True,
        example="true",
    ),
    Field(
        *("remove", LIFETIME, types.BOOLEAN, "Remove the server when it stops."),
        argument="flag",
        option="--rm",
        key="rm",
        example="true",
        python=False,
    ),
    Field(
        *("replace", LIFETIME, types.BOOLEAN, "Replace an existing server of the same name."),
        argument="flag",
        key=None,
        launch=True,
    ),
)
"""The fields of a server, in the order of the help and of a file; its name and its models come first."""

_OTHER_OPTIONS = {
    "examples": "EXAMPLES",
    "inputs": "--input",
    "labels": "--label",
    "models": "MODEL_DIR",
    "values": "VALUES",
}


def parse_fields(
    given: Mapping[str, object], context: Context, shared: Mapping[str, object], *, launch: bool
) -> dict[str, Any]:
    """Parses the values of fields: those of `LaunchOptions` with `launch`, else those of `ServeSpec`.

    Args:
        given: attributes -> text, or plain data; other keys are ignored.
        context: what the values may refer to.
        shared: likewise, for attributes that are not given; mappings and server flags of both are merged.
        launch: which of the two.

    Raises:
        UsageError: a value is not valid; about its attribute, and the key or index below it.
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
            error.wording = Wording(
                "Expected {expected} for {attribute}, found {found}.",
                expected=error.expected,
                attribute=Attribute(field.attribute),
                found=error.found,
            )
            if error.hint is None and not field.example.startswith(("[", "{")):
                error.hint_wording = Wording("For example {it}", it=Attribute(field.attribute, field.example))
            raise


def _merged(shared: Any, own: Any) -> Any:
    """A server's own value, with what it does not override of a shared value."""
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

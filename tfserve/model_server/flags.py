"""The command line of the model server, parsed the way TensorFlow's own flag parser does, and the resulting options.

The syntax is ``--name=value``; a bool needs no value; the last of several wins; an argument that is not a flag is left
over, not refused. `tfserve.protos.server_flags` has the syntax of values, with its source.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tfserve.model_server.rest.limits import Limits
from tfserve.protos.own_server_flags import OWN_FLAGS
from tfserve.protos.server_flags import SERVER_FLAGS, ServerFlag, parse_tags

_ALL_FLAGS = (*SERVER_FLAGS, *OWN_FLAGS)

Value = bool | int | float | str


@dataclass(frozen=True)
class Options:
    """The flags that have an effect. Each field is the flag of that name, in the flag's own unit."""

    port: int
    rest_api_port: int
    rest_api_num_threads: int
    rest_api_timeout_in_ms: int
    rest_api_max_body_bytes: int
    rest_api_max_gzip_ratio: int
    rest_api_max_json_values: int
    rest_api_max_json_depth: int
    rest_api_max_inflight_body_bytes: int
    rest_api_max_parse_memory_bytes: int
    rest_api_max_parse_seconds: int
    rest_api_max_headers: int
    rest_api_max_header_bytes: int
    rest_api_allowed_hosts: str
    bind_address: str
    grpc_socket_path: str
    grpc_channel_arguments: str
    grpc_max_message_bytes: int
    grpc_max_fields: int
    grpc_max_bytes_in_flight: int
    config_reload_socket_path: str
    ssl_config_file: str
    use_alts_credentials: bool
    enable_grpc_healthcheck_service: bool
    enable_serialization_as_tensor_content: bool
    model_name: str
    model_base_path: str
    model_config_file: str
    model_config_file_poll_wait_seconds: int
    allow_version_labels_for_unavailable_models: bool
    saved_model_tags: tuple[str, ...]
    file_system_poll_wait_seconds: int
    num_load_threads: int
    num_unload_threads: int
    max_num_load_retries: int
    load_retry_interval_micros: int
    tensorflow_session_parallelism: int
    tensorflow_intra_op_parallelism: int
    tensorflow_inter_op_parallelism: int
    enable_signature_method_name_check: bool
    rest_api_enable_cors_support: bool
    enable_model_warmup: bool
    num_request_iterations_for_warmup: int
    enable_batching: bool
    batching_parameters_file: Path | None
    enable_per_model_batching_parameters: bool
    prefer_tflite_model: bool
    num_tflite_pools: int
    tensorflow_session_config_file: str
    per_process_gpu_memory_fraction: float
    mixed_precision: str
    monitoring_config_file: str
    version: bool

    @property
    def rest_limits(self) -> Limits:
        """The limits of REST requests."""
        return Limits(
            body_bytes=self.rest_api_max_body_bytes,
            gzip_ratio=self.rest_api_max_gzip_ratio,
            json_values=self.rest_api_max_json_values,
            json_depth=self.rest_api_max_json_depth,
            inflight_bytes=self.rest_api_max_inflight_body_bytes,
            parse_bytes=self.rest_api_max_parse_memory_bytes,
            parse_seconds=self.rest_api_max_parse_seconds,
            headers=self.rest_api_max_headers,
            header_bytes=self.rest_api_max_header_bytes,
        )


_XLA_FLAGS = {"xla_cpu_compilation_enabled", "xla_gpu_compilation_enabled"}  # TensorFlow's library always has XLA

FLAGS_WITHOUT_EFFECT = tuple(
    flag.name for flag in SERVER_FLAGS if flag.name not in Options.__dataclass_fields__.keys() | _XLA_FLAGS
)
"""Flags of the official server that this one accepts and ignores."""


@dataclass(frozen=True)
class CommandLine:
    """A parsed command line.

    Attributes:
        options: the flags that have an effect.
        ignored: names of the flags that were set and have no effect.
        unknown: arguments that are not flags.
        errors: one sentence for each value that could not be parsed.
    """

    options: Options
    ignored: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def parse(arguments: Sequence[str]) -> CommandLine:
    """Parses the arguments of the server, without the name of the program."""
    values: dict[str, Value] = {flag.name: _default(flag) for flag in _ALL_FLAGS}
    unknown: list[str] = []
    errors: list[str] = []
    for index, argument in enumerate(arguments):
        if argument == "--":
            unknown.extend(arguments[index:])
            break
        for flag in _ALL_FLAGS:
            text = _value_text(flag, argument)
            if text is None:
                continue
            value = flag.parse(text)
            if value is None:
                errors.append(f"Couldn't interpret value {text} for flag {flag.name}.")
            else:
                values[flag.name] = value
            break
        else:
            unknown.append(argument)
    ignored = [
        flag.name for flag in SERVER_FLAGS if flag.name in FLAGS_WITHOUT_EFFECT and values[flag.name] != _default(flag)
    ]
    return CommandLine(_options(values), ignored, unknown, errors)


def usage() -> str:
    """Returns the usage message, with the default of each flag."""
    lines = ["usage: tfserve-model-server", "Flags:"]
    for flag in _ALL_FLAGS:
        default = _default(flag)
        if isinstance(default, bool):
            shown = str(default).lower()
        elif flag.type == "float":
            shown = f"{default:f}"
        else:
            shown = f'"{default}"' if isinstance(default, str) else str(default)
        note = " No effect in this server." if flag.name in FLAGS_WITHOUT_EFFECT else ""
        lines.append(f"\t{f'--{flag.name}={shown}':<33}\t{flag.type}\t{flag.help}{note}")
    return "\n".join(lines) + "\n"


def _default(flag: ServerFlag) -> Value:
    if flag.default is not None:
        return flag.default
    cpus = os.cpu_count() or 1
    return 4 * cpus if flag.name.endswith("threads") else cpus


def _value_text(flag: ServerFlag, argument: str) -> str | None:
    """Returns the value that `argument` gives `flag`, or None if it is not an argument for this flag."""
    if flag.type == "bool" and argument == f"--{flag.name}":
        return "true"
    prefix = f"--{flag.name}="
    return argument[len(prefix) :] if argument.startswith(prefix) else None


def _options(values: dict[str, Value]) -> Options:
    names = Options.__dataclass_fields__
    chosen: dict[str, object] = {name: values[name] for name in names}
    batching_parameters_file = str(values["batching_parameters_file"])
    chosen["batching_parameters_file"] = Path(batching_parameters_file) if batching_parameters_file else None
    chosen["saved_model_tags"] = parse_tags(str(values["saved_model_tags"]))
    return Options(**chosen)  # type: ignore[arg-type]  # each value has its flag's type

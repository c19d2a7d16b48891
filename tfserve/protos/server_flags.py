"""Every flag of ``tensorflow_model_server``, as data: its name, type, default and help, and how its value is parsed.

Sources: ``main.cc`` and ``server.h`` in ``tensorflow_serving/model_servers`` of tensorflow/serving at 9d981c5c; for the
grammar of values, ``tsl/util/command_line_flags.cc``.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

__all__ = ["SERVER_FLAGS", "SERVER_FLAGS_BY_NAME", "FlagType", "ServerFlag", "parse_tags"]

FlagType = Literal["bool", "int32", "int64", "float", "string"]

_BOOLS = {"true": True, "false": False}
_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,19}", re.ASCII)
_INTEGER_LIMITS = {"int32": 1 << 31, "int64": 1 << 63}
_FLOAT = re.compile(r"\s*[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|inf|infinity|nan)", re.ASCII | re.IGNORECASE)


class ServerFlag(NamedTuple):
    """One flag of the model server.

    Attributes:
        name: its name without the dashes.
        type: the C++ type it is parsed as; a bool without a value is true.
        default: its value if it is not given; None if it depends on the number of CPUs (four times that for threads).
        help: what it does, in one line.
        file: the type of the message in the text file that the flag names; None for every other flag.
    """

    name: str
    type: FlagType
    default: bool | int | float | str | None
    help: str
    file: str | None = None

    def parse(self, text: str) -> bool | int | float | str | None:
        """Returns the value of `text` for the flag, or None if it is not a valid value.

        Valid values are those that every release of the server accepts with the same meaning. Releases differ: that of
        TensorFlow 2.21 also accepts ``1`` or ``TRUE`` as a bool, and space after a number; older releases refuse both,
        and let integers out of range wrap around.
        """
        if self.type == "bool":
            return _BOOLS.get(text)
        if self.type == "string":
            return None if "\0" in text else text
        if self.type == "float":
            return float(text) if _FLOAT.fullmatch(text) else None
        limit = _INTEGER_LIMITS[self.type]
        number = int(text) if _INTEGER.fullmatch(text) else limit
        return number if -limit <= number < limit else None


SERVER_FLAGS = (
    ServerFlag("port", "int32", 8500, "TCP port of the gRPC API; 0 to turn it off."),
    ServerFlag("grpc_socket_path", "string", "", "Path of a UNIX socket for the gRPC API."),
    ServerFlag("rest_api_port", "int32", 0, "TCP port of the REST API, different from --port; 0 to turn it off."),
    ServerFlag("rest_api_num_threads", "int32", None, "Threads for REST requests; by default four for each CPU."),
    ServerFlag("rest_api_timeout_in_ms", "int32", 30000, "Timeout of REST requests, in milliseconds."),
    ServerFlag("rest_api_enable_cors_support", "bool", False, "Add CORS headers to REST responses."),
    ServerFlag("enable_batching", "bool", False, "Enable batching of requests."),
    ServerFlag(
        "allow_version_labels_for_unavailable_models",
        "bool",
        False,
        "Allow new version labels for versions that are not loaded yet.",
    ),
    ServerFlag("batching_parameters_file", "string", "", "Text file of BatchingParameters.", "BatchingParameters"),
    ServerFlag(
        "enable_per_model_batching_parameters",
        "bool",
        False,
        "Read batching parameters from batching_params.pbtxt in each SavedModel.",
    ),
    ServerFlag(
        "model_config_file", "string", "", "Text file of ModelServerConfig: the models to serve.", "ModelServerConfig"
    ),
    ServerFlag(
        "model_config_file_poll_wait_seconds",
        "int32",
        0,
        "Seconds between two polls of --model_config_file; 0 to read it once.",
    ),
    ServerFlag("model_name", "string", "default", "Name of the model, if --model_config_file is not set."),
    ServerFlag("model_base_path", "string", "", "Directory that contains the model's version directories."),
    ServerFlag("num_load_threads", "int32", 0, "Threads that load models; 0 to load them one after the other."),
    ServerFlag("num_unload_threads", "int32", 0, "Threads that unload models; 0 to unload them one after the other."),
    ServerFlag("max_num_load_retries", "int32", 5, "Number of times to retry a failed load."),
    ServerFlag(
        "load_retry_interval_micros",
        "int64",
        60_000_000,
        "Microseconds to wait before a failed load is retried; a negative number for no wait.",
    ),
    ServerFlag(
        "file_system_poll_wait_seconds",
        "int32",
        1,
        "Seconds between two polls for new versions; 0 to poll once, a negative number for never.",
    ),
    ServerFlag("flush_filesystem_caches", "bool", True, "Flush file system caches once the models are loaded."),
    ServerFlag(
        "tensorflow_session_parallelism", "int64", 0, "Threads of a session, inter- and intra-op; 0 for automatic."
    ),
    ServerFlag(
        "tensorflow_session_config_file",
        "string",
        "",
        "Text file of TensorFlow's ConfigProto for sessions.",
        "ConfigProto",
    ),
    ServerFlag("tensorflow_intra_op_parallelism", "int64", 0, "Threads for one op; 0 for automatic."),
    ServerFlag("tensorflow_inter_op_parallelism", "int64", 0, "Ops that run at the same time; 0 for automatic."),
    ServerFlag("use_alts_credentials", "bool", False, "Secure gRPC with Google's ALTS."),
    ServerFlag("ssl_config_file", "string", "", "Text file of SSLConfig, to secure gRPC with TLS.", "SSLConfig"),
    ServerFlag(
        "platform_config_file",
        "string",
        "",
        "Text file of PlatformConfigMap, in place of TensorFlow's.",
        "PlatformConfigMap",
    ),
    ServerFlag(
        "per_process_gpu_memory_fraction",
        "float",
        0.0,
        "Fraction of the GPU's memory that the server can use, 0 to 1; 0 for automatic.",
    ),
    ServerFlag("saved_model_tags", "string", "serve", "Comma-separated tags of the meta graph to load."),
    ServerFlag("grpc_channel_arguments", "string", "", "Comma-separated gRPC server arguments, each KEY=VALUE."),
    ServerFlag("grpc_max_threads", "int32", None, "Maximum number of threads for gRPC; by default four for each CPU."),
    ServerFlag("enable_model_warmup", "bool", True, "Replay a model's warm-up requests when it is loaded."),
    ServerFlag(
        "num_request_iterations_for_warmup", "int32", 0, "Number of times to replay each warm-up request; 0 for once."
    ),
    ServerFlag("version", "bool", False, "Print the versions of the server and of TensorFlow, and exit."),
    ServerFlag(
        "monitoring_config_file", "string", "", "Text file of MonitoringConfig: Prometheus metrics.", "MonitoringConfig"
    ),
    ServerFlag(
        "remove_unused_fields_from_bundle_metagraph",
        "bool",
        True,
        "Save memory by dropping parts of the meta graph that serving does not need.",
    ),
    ServerFlag("prefer_tflite_model", "bool", False, "Serve the model.tflite of a SavedModel if it has one."),
    ServerFlag("num_tflite_pools", "int32", None, "Pools of LiteRT interpreters; by default one for each CPU."),
    ServerFlag("num_tflite_interpreters_per_pool", "int32", 1, "LiteRT interpreters in each pool."),
    ServerFlag(
        "enable_signature_method_name_check", "bool", False, "Require signatures to have the method name of the API."
    ),
    ServerFlag("xla_cpu_compilation_enabled", "bool", False, "Enable XLA's just-in-time compiler for CPUs."),
    ServerFlag("xla_gpu_compilation_enabled", "bool", False, "Enable XLA's just-in-time compiler for CPUs and GPUs."),
    ServerFlag("enable_profiler", "bool", True, "Serve TensorFlow's profiler over gRPC."),
    ServerFlag("thread_pool_factory_config_file", "string", "", "Text file of ThreadPoolConfig.", "ThreadPoolConfig"),
    ServerFlag("mixed_precision", "string", "", "Mixed precision mode for models, such as bfloat16."),
    ServerFlag("skip_initialize_tpu", "bool", False, "Skip the initialization of TPUs."),
    ServerFlag("enable_grpc_healthcheck_service", "bool", False, "Serve gRPC's standard health service."),
    ServerFlag(
        "enable_serialization_as_tensor_content",
        "bool",
        False,
        "Write tensors of gRPC predict responses as tensor_content.",
    ),
)
"""All flags, in the order of the server's usage message."""

SERVER_FLAGS_BY_NAME = {flag.name: flag for flag in SERVER_FLAGS}


def parse_tags(text: str) -> tuple[str, ...]:
    """Parses the value of ``--saved_model_tags``; a value without tags means the default."""
    return tuple(filter(None, text.split(","))) or (str(SERVER_FLAGS_BY_NAME["saved_model_tags"].default),)

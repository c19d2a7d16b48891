"""The flags of ``tfserve-model-server`` that ``tensorflow_model_server`` does not have, as data."""

from __future__ import annotations

from tfserve.protos.server_flags import SERVER_FLAGS_BY_NAME, ServerFlag

__all__ = ["ALL_FLAGS_BY_NAME", "OWN_FLAGS", "OWN_FLAGS_BY_NAME"]

OWN_FLAGS = (
    ServerFlag("bind_address", "string", "0.0.0.0", "Address to listen on; by default every interface."),  # noqa: S104
    ServerFlag(
        "rest_api_max_body_bytes",
        "int64",
        256 << 20,
        "Largest body of a REST request, in bytes, also when it is uncompressed; larger ones get 413.",
    ),
    ServerFlag(
        "rest_api_max_gzip_ratio",
        "int32",
        250,
        "How many times larger the body of a REST request can be after it is uncompressed, if that is over 64 MiB.",
    ),
    ServerFlag(
        "rest_api_max_json_values",
        "int64",
        16_000_000,
        "How many JSON values a REST request can have; a string counts as four.",
    ),
    ServerFlag("rest_api_max_json_depth", "int32", 1024, "How deep lists in a REST request can be nested."),
    ServerFlag(
        "rest_api_max_inflight_body_bytes",
        "int64",
        320 << 20,
        "Size of all large bodies of REST requests together, in bytes; others wait, and get 429 after 10 seconds.",
    ),
    ServerFlag(
        "rest_api_max_parse_memory_bytes",
        "int64",
        512 << 20,
        "Memory to parse the body of a REST request with, in bytes, beyond the body; if it is not enough, 429.",
    ),
    ServerFlag(
        "rest_api_max_parse_seconds",
        "int32",
        20,
        "CPU time to parse the body of a REST request in, in seconds; if it is not enough, 429.",
    ),
    ServerFlag("rest_api_max_headers", "int32", 128, "How many headers a REST request can have; more get 431."),
    ServerFlag(
        "rest_api_max_header_bytes",
        "int32",
        64 << 10,
        "Size of the request line and the headers of a REST request together, in bytes; larger ones get 431.",
    ),
    ServerFlag(
        "rest_api_allowed_hosts",
        "string",
        "",
        "Host names to answer REST requests for, beside localhost and IP addresses, separated by commas; * for all. "
        "By default none if --bind_address is a loopback address, otherwise all. Requests for others get 403.",
    ),
    ServerFlag(
        "grpc_max_message_bytes",
        "int32",
        128 << 20,
        "Largest gRPC request, in bytes, also when it is decompressed; larger ones get RESOURCE_EXHAUSTED.",
    ),
    ServerFlag(
        "grpc_max_fields",
        "int64",
        2_000_000,
        "Most fields of a gRPC request, such as strings or examples; more get RESOURCE_EXHAUSTED.",
    ),
    ServerFlag(
        "grpc_max_bytes_in_flight",
        "int64",
        256 << 20,
        "Memory of all gRPC requests and responses in progress, in bytes; more get RESOURCE_EXHAUSTED.",
    ),
    ServerFlag(
        "config_reload_socket_path",
        "string",
        "",
        "Path of a UNIX socket of mode 0600, the only address that then takes HandleReloadConfigRequest.",
    ),
)
"""Flags that the official server does not have."""

OWN_FLAGS_BY_NAME = {flag.name: flag for flag in OWN_FLAGS}
ALL_FLAGS_BY_NAME = {**SERVER_FLAGS_BY_NAME, **OWN_FLAGS_BY_NAME}

"""The limits of REST requests, each of which is a flag; see `tfserve.model_server.flags`."""

from __future__ import annotations

from dataclasses import dataclass

from tfserve.protos.own_server_flags import OWN_FLAGS_BY_NAME

INLINE_BYTES = 1 << 16
"""Size of the largest body that is parsed on the event loop."""

LIGHT_BYTES = 4 << 20
"""Size of the largest body that is parsed beside others; larger ones are parsed one at a time."""


def _default(flag: str) -> int:
    default = OWN_FLAGS_BY_NAME[flag].default
    assert isinstance(default, int)  # noqa: S101, for the types: it is one of the flags below
    return default


@dataclass(frozen=True)
class Limits:
    """What one request, and all requests together, can use.

    Attributes:
        body_bytes: largest body, also after it is uncompressed.
        gzip_ratio: how many times larger a body can be after it is uncompressed, if that is more than 64 MiB.
        json_values: how many values a body can have; a string counts as four.
        json_depth: how deep lists and objects can be nested.
        inflight_bytes: size of all bodies together that are being received or answered, beyond `INLINE_BYTES` each.
        parse_bytes: memory in which a body is parsed, beyond the body itself.
        parse_seconds: CPU time in which a body is parsed.
        headers: how many headers a request can have.
        header_bytes: size of the request line and the headers together.
    """

    body_bytes: int = _default("rest_api_max_body_bytes")
    gzip_ratio: int = _default("rest_api_max_gzip_ratio")
    json_values: int = _default("rest_api_max_json_values")
    json_depth: int = _default("rest_api_max_json_depth")
    inflight_bytes: int = _default("rest_api_max_inflight_body_bytes")
    parse_bytes: int = _default("rest_api_max_parse_memory_bytes")
    parse_seconds: int = _default("rest_api_max_parse_seconds")
    headers: int = _default("rest_api_max_headers")
    header_bytes: int = _default("rest_api_max_header_bytes")

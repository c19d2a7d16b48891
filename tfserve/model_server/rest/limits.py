"""The limits of REST requests, each of which is a flag; see `tfserve.model_server.flags`."""

from __future__ import annotations

from dataclasses import dataclass

INLINE_BYTES = 1 << 16
"""Size of the largest body that is parsed on the event loop."""

LIGHT_BYTES = 4 << 20
"""Size of the largest body that is parsed beside others; larger ones are parsed one at a time."""


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

    body_bytes: int = 256 << 20
    gzip_ratio: int = 250
    json_values: int = 16_000_000
    json_depth: int = 1000
    inflight_bytes: int = 320 << 20
    parse_bytes: int = 512 << 20
    parse_seconds: int = 20
    headers: int = 128
    header_bytes: int = 64 << 10

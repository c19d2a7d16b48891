"""An HTTP response as it was received, the check of its status, and its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfserve.client.failures import malformed, redirected, refusal, too_complex
from tfserve.client.json_document import read_json
from tfserve.protos.json_memory import json_memory

__all__ = ["HttpReply", "accept", "parse"]

_MOST_PER_BYTE = 100  # bytes in memory for a byte of JSON; only small objects take about as many


@dataclass(frozen=True)
class HttpReply:
    """An HTTP response, not checked yet.

    Attributes:
        status: the HTTP status.
        location: the target of a redirect, or empty.
        body: the bytes of the body; for an error, only the beginning.
        latency_ms: milliseconds from sending the request to the last byte of the response.
    """

    status: int
    location: str
    body: bytes
    latency_ms: float


def accept(url: str, reply: HttpReply) -> HttpReply:
    """Returns `reply` if its HTTP status is 200.

    Raises:
        RequestError: the status is an error (`RefusedError`), a redirect, or another one than 200.
    """
    if reply.status >= 400:
        raise refusal(url, reply.status, reply.body)
    if 300 <= reply.status < 400:
        raise redirected(url, reply.location)
    if reply.status != 200:
        raise malformed(url, f"the HTTP status is {reply.status}")
    return reply


def parse(url: str, body: bytes, memory: int) -> Any:
    """Returns the JSON document in `body`; see `read_json`.

    Args:
        url: the address of the server, for errors.
        body: the bytes of the document.
        memory: how many bytes the document may take once it is parsed.

    Raises:
        RequestError: `body` is not JSON, or would take too much memory.
    """
    if len(body) * _MOST_PER_BYTE > memory and json_memory(body) > memory:
        raise too_complex(url)
    try:
        return read_json(body)
    except ValueError:
        raise malformed(url, "the response is not JSON") from None

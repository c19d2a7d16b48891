"""An HTTP response as it was received, the check of its status, and its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfserve.client.failures import malformed, redirected, refusal
from tfserve.client.json_document import read_json

__all__ = ["HttpReply", "accept", "parse"]


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


def parse(url: str, body: bytes) -> Any:
    """Returns the JSON document in `body`; see `read_json`.

    Raises:
        RequestError: `body` is not JSON.
    """
    try:
        return read_json(body)
    except ValueError:
        raise malformed(url, "the response is not JSON") from None

"""What comes back over HTTP, whichever API it is from; whether it is an answer at all, and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfserve.client.failures import malformed, redirected, refusal
from tfserve.client.json_document import read_json

__all__ = ["HttpReply", "accept", "parse"]


@dataclass(frozen=True)
class HttpReply:
    """What a server sent back, read but not yet looked at.

    Attributes:
        status: the HTTP status.
        location: where a redirect leads, or empty.
        body: the bytes of the answer; of an error only the first.
        latency_ms: from sending the request to the last byte of the answer, in milliseconds.
    """

    status: int
    location: str
    body: bytes
    latency_ms: float


def accept(url: str, reply: HttpReply) -> HttpReply:
    """Returns `reply` if its HTTP status says that it is an answer.

    Raises:
        RequestError: it is a refusal (`RefusedError`), a redirect, or some other status than 200.
    """
    if reply.status >= 400:
        raise refusal(url, reply.status, reply.body)
    if 300 <= reply.status < 400:
        raise redirected(url, reply.location)
    if reply.status != 200:
        raise malformed(url, f"its HTTP status is {reply.status}")
    return reply


def parse(url: str, body: bytes) -> Any:
    """Returns the JSON document in `body`, as `read_json` does.

    Raises:
        RequestError: it is not JSON.
    """
    try:
        return read_json(body)
    except ValueError:
        raise malformed(url, "its answer is not JSON") from None

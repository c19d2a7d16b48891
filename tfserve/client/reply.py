"""What comes back over HTTP, and whether it is an answer at all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tfserve.client.failures import malformed, redirected, refusal

__all__ = ["Reply", "accept", "parse"]


@dataclass(frozen=True)
class Reply:
    """What a server sent back.

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


def accept(url: str, reply: Reply) -> Reply:
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
    """Returns the JSON document in `body`, with NaN and Infinity allowed, as the server writes them.

    A string tensor with bytes that are not UTF-8 makes the real server answer JSON that is not UTF-8 either; these
    bytes are kept as "surrogateescape" keeps them.

    Raises:
        RequestError: it is not JSON.
    """
    try:
        return json.loads(body.decode("utf-8", "surrogateescape"), parse_int=_whole)
    except (ValueError, RecursionError):
        raise malformed(url, "its answer is not JSON") from None


def _whole(digits: str) -> float:
    return int(digits) if len(digits) < 30 else float(digits)  # Python refuses to make an int of thousands of digits

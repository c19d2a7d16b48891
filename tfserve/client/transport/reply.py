"""An HTTP response as it was received, the check of its status, and its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfserve.client.failures import malformed, redirected, refusal, too_complex
from tfserve.client.json_document import MAX_DEPTH, read_json, read_json_text
from tfserve.client.json_pieces import PIECE_BYTES, parse_pieces
from tfserve.client.transport.reading_time import ReadingTime
from tfserve.protos.json_memory import json_memory

__all__ = ["HttpReply", "accept", "parse"]

_AT_ONCE = 32 * 2**20  # a document of up to this size is parsed as a whole, if there is time enough
_BYTES_PER_SECOND = 2 * 2**20  # of which the parser reads at least several times as many
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


def parse(url: str, body: bytes, memory: int, time: ReadingTime) -> Any:
    """Returns the JSON document in `body`; see `read_json`. A large one is parsed in pieces.

    Args:
        url: the address of the server, for errors.
        body: the bytes of the document.
        memory: how many bytes `body` and the document may take once it is parsed.
        time: the time of the request.

    Raises:
        RequestError: `body` is not JSON, would take too much memory, or cannot be parsed in time (`TimedOutError`).
    """
    taken = len(body)
    if len(body) * _MOST_PER_BYTE > memory:
        taken += json_memory(body)
    if taken > memory:
        raise too_complex(url)

    def before(piece: bytes) -> None:
        nonlocal taken
        time.check()
        if b'"' in piece:
            taken += _text_memory(piece)
            if taken > memory:
                raise too_complex(url)

    try:
        if len(body) <= min(_AT_ONCE, time.remaining() * _BYTES_PER_SECOND):
            document = read_json(body)
        else:
            document = parse_pieces(body, read_json_text, before, MAX_DEPTH)
    except ValueError:
        raise malformed(url, "the response is not JSON") from None
    time.check()
    return document


def _text_memory(piece: bytes) -> int:
    """Returns about how many bytes the characters in `piece` take; while a long string is parsed, there are copies."""
    widest = 1 if piece.isascii() and b"\\u" not in piece else 4
    return len(piece) * widest * (3 if len(piece) > PIECE_BYTES else 1)

"""Decompresses messages, few at a time and each up to the limit of its method.

gRPC itself decompresses every message when it arrives, each up to the limit of all messages, whatever others hold: 300
messages of 128 KB can become 38 GB.

The server tells gRPC to leave messages compressed. It does not report which they are, but their first bytes do: those
of gzip cannot begin a message of Protocol Buffers, and those of zlib would be a field that no message has.
"""

from __future__ import annotations

import asyncio
import zlib
from concurrent.futures import ThreadPoolExecutor

from tfserve.model_server.status import Code, StatusError

ARGUMENTS = {"grpc.per_message_decompression": 0}
"""Arguments of a gRPC server whose messages are decompressed here."""

_GZIP, _ZLIB = b"\x1f\x8b", b"\x78"
_ANY_FORMAT = 32 + zlib.MAX_WBITS
_INLINE_BYTES = 1 << 16

_threads = ThreadPoolExecutor(2, thread_name_prefix="decompression")


def is_compressed(body: bytes) -> bool:
    """Whether a message seems to be compressed."""
    return body.startswith((_GZIP, _ZLIB)) and (body[:1] != _ZLIB or int.from_bytes(body[:2], "big") % 31 == 0)


async def decompressed(body: bytes, limit: int) -> bytes:
    """Decompresses a message; a damaged one is returned unchanged, for the parser to refuse.

    Raises:
        StatusError: RESOURCE_EXHAUSTED, it has more than `limit` bytes.
    """
    try:
        # The size of the message says nothing about the time: a compressed one can be of empty blocks only.
        is_quick = len(body) <= _INLINE_BYTES
        message = _decompressed(body, min(limit, _INLINE_BYTES)) if is_quick else None
        if message is None and (limit > _INLINE_BYTES or not is_quick):
            message = await asyncio.get_running_loop().run_in_executor(_threads, _decompressed, body, limit)
    except zlib.error:
        return body
    if message is None:
        raise StatusError(Code.RESOURCE_EXHAUSTED, f"The decompressed message has more than {limit} bytes")
    return message


def _decompressed(body: bytes, limit: int) -> bytes | None:
    """Returns the message, or None if it is longer than `limit`; raises zlib.error if it is damaged."""
    decompressor = zlib.decompressobj(_ANY_FORMAT)
    message = decompressor.decompress(body, limit + 1)
    if len(message) > limit:
        return None
    if not decompressor.eof or decompressor.unused_data:
        raise zlib.error
    return message

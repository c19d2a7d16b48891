"""Uncompresses gzip bodies within limits."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from tfserve.model_server.rest.limits import Limits
from tfserve.model_server.rest.memory_file import Buffer
from tfserve.model_server.status import invalid_argument

RATIO_BYTES = 64 << 20
"""Bodies that are not larger than this when uncompressed can have any ratio."""

_BLOCK_BYTES = 1 << 18


class TooLargeError(Exception):
    """The body is larger than allowed."""


def gunzip(body: Buffer, limits: Limits) -> Iterator[bytes]:
    """Returns `body` uncompressed, in blocks; after the end of the compressed data, more of it is ignored.

    Raises:
        TooLargeError: the result is larger than `body_bytes`; it is not uncompressed further.
        StatusError: INVALID_ARGUMENT, the body is not gzip, or truncated, or its ratio is larger than `gzip_ratio`.
    """
    stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    size = 0
    for start in range(0, len(body), _BLOCK_BYTES):
        rest: Buffer = body[start : start + _BLOCK_BYTES]
        while rest and not stream.eof:
            try:
                block = stream.decompress(rest, min(_BLOCK_BYTES, limits.body_bytes + 1 - size))
            except zlib.error as failure:
                raise invalid_argument(f"Failed to uncompress the gzipped body: {failure}") from None
            rest = stream.unconsumed_tail
            size += len(block)
            _check(size, len(body), limits)
            yield block
        if stream.eof:
            return
    while not stream.eof:  # what is left of the output after all of the input
        block = stream.decompress(b"", min(_BLOCK_BYTES, limits.body_bytes + 1 - size))
        size += len(block)
        _check(size, len(body), limits)
        if not block and not stream.eof:
            raise invalid_argument("Failed to uncompress the gzipped body: it is truncated")
        yield block


def _check(size: int, packed: int, limits: Limits) -> None:
    """Raises an error if `packed` bytes must not become `size` bytes."""
    if size > limits.body_bytes:
        raise TooLargeError
    if size > max(RATIO_BYTES, packed * limits.gzip_ratio):
        raise invalid_argument(
            f"The gzipped body is more than {limits.gzip_ratio} times larger when it is uncompressed, the limit of "
            "this server (--rest_api_max_gzip_ratio)"
        )

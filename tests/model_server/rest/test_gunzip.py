from __future__ import annotations

import gzip
import os

import pytest

from tfserve.model_server.rest import gunzip as module
from tfserve.model_server.rest.gunzip import TooLargeError, gunzip
from tfserve.model_server.rest.limits import Limits
from tfserve.model_server.status import StatusError


def unpack(body: bytes, **limits: int) -> bytes:
    return b"".join(gunzip(memoryview(body), Limits(**limits)))


@pytest.mark.parametrize("content", [b"", b"a", os.urandom(600_000), b"0" * 3_000_000])
def test_what_was_compressed_is_returned(content: bytes) -> None:
    assert unpack(gzip.compress(content)) == content
    assert unpack(gzip.compress(content) + b"more") == content
    assert unpack(gzip.compress(content), body_bytes=len(content)) == content


def test_a_truncated_or_invalid_body_is_refused() -> None:
    packed = gzip.compress(os.urandom(600_000))
    for body in (packed[:-1], packed[: 1 << 18], packed[:5], b"x" * 100, packed[:300_000] + b"\0" * 300_000):
        with pytest.raises(StatusError, match="Failed to uncompress the gzipped body: "):
            unpack(body)


def test_no_more_is_uncompressed_than_the_limits_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(b"0" * 20_000_000)
    blocks = gunzip(bomb, Limits(body_bytes=1_000_000))
    size = 0
    with pytest.raises(TooLargeError):
        for block in blocks:
            size += len(block)
    assert size <= 1_000_001
    monkeypatch.setattr(module, "RATIO_BYTES", 1_000_000)
    with pytest.raises(StatusError, match="--rest_api_max_gzip_ratio"):
        unpack(bomb)
    assert len(unpack(bomb, gzip_ratio=1100)) == 20_000_000
    assert len(unpack(gzip.compress(b"0" * 1_000_000))) == 1_000_000

"""Writes TFRecord files, as TensorFlow does."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import google_crc32c


def write_records(path: Path, values: Iterable[bytes]) -> None:
    path.write_bytes(b"".join(map(record, values)))


def record(data: bytes) -> bytes:
    return head(len(data)) + data + _masked_checksum(data)


def head(size: int) -> bytes:
    """The length of a record, and the checksum of that."""
    length = struct.pack("<Q", size)
    return length + _masked_checksum(length)


def _masked_checksum(data: bytes) -> bytes:
    checksum = google_crc32c.value(data)
    return struct.pack("<I", ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF)

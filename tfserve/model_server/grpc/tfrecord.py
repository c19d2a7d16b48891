"""Reads TFRecord files, the format of warm-up requests.

Source: ``tensorflow/core/lib/io/record_reader.cc``: each record is its length (8 bytes, little-endian), the masked
CRC32C of these, its data, and the masked CRC32C of that.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import google_crc32c

from tfserve.model_server.status import Code, StatusError
from tfserve.protos.regular_file import open_regular

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_MAX_RECORD_BYTES = 2**31 - 1  # of a message
_MASK_DELTA = 0xA282EAD8


def read_records(path: Path) -> Iterator[bytes]:
    """Yields the data of each record of an uncompressed TFRecord file.

    Raises:
        StatusError: DATA_LOSS, a checksum is wrong or the file is truncated.
        OSError: the file cannot be read.
    """
    with open_regular(path) as unbuffered, open(unbuffered.fileno(), "rb", closefd=False) as file:
        size = os.fstat(file.fileno()).st_size
        while file.tell() < size:
            offset = file.tell()
            (length,) = _LENGTH.unpack(_read_checked(file, _LENGTH.size, size, offset))
            yield _read_checked(file, length, size, offset)


def _read_checked(file: IO[bytes], length: int, size: int, offset: int) -> bytes:
    """Returns the next bytes of the file, and reads and verifies the checksum after them."""
    if length > min(size - file.tell() - _CHECKSUM.size, _MAX_RECORD_BYTES):
        raise StatusError(Code.DATA_LOSS, f"truncated record at {offset}")
    data = file.read(length)
    (expected,) = _CHECKSUM.unpack(file.read(_CHECKSUM.size))
    if _masked_checksum(data) != expected:
        raise StatusError(Code.DATA_LOSS, f"corrupted record at {offset}")
    return data


def _masked_checksum(data: bytes) -> int:
    checksum: int = google_crc32c.value(data)
    return ((checksum >> 15 | checksum << 17) + _MASK_DELTA) & 0xFFFFFFFF

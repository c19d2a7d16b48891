from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.model_server.grpc.tfrecords import head, record, write_records
from tfserve.model_server.grpc.tfrecord import read_records
from tfserve.model_server.status import Code, StatusError


def test_a_record_written_by_tensorflow(tmp_path: Path) -> None:
    # tf.io.TFRecordWriter wrote b"abc".
    written = bytes.fromhex("0300000000000000b099490e6162636e57f121")
    (tmp_path / "file").write_bytes(written)
    assert list(read_records(tmp_path / "file")) == [b"abc"]


@given(st.lists(st.binary(max_size=50), max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_records_of_any_bytes(tmp_path: Path, values: list[bytes]) -> None:
    write_records(tmp_path / "file", values)
    assert list(read_records(tmp_path / "file")) == values


@pytest.mark.parametrize("end", range(1, len(record(b"abc"))))
def test_a_truncated_file(tmp_path: Path, end: int) -> None:
    (tmp_path / "file").write_bytes(record(b"first") + record(b"abc")[:end])
    records = read_records(tmp_path / "file")
    assert next(records) == b"first"
    with pytest.raises(StatusError, match="truncated record at 21") as caught:
        next(records)
    assert caught.value.code is Code.DATA_LOSS


@pytest.mark.parametrize("position", [0, 9, 13, 16])
def test_a_damaged_byte(tmp_path: Path, position: int) -> None:
    damaged = bytearray(record(b"abc"))
    damaged[position] ^= 0x40
    (tmp_path / "file").write_bytes(damaged)
    with pytest.raises(StatusError) as caught:
        list(read_records(tmp_path / "file"))
    assert caught.value.code is Code.DATA_LOSS


def test_files_that_never_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="Not a regular file"):
            list(read_records(path))


def test_a_record_larger_than_a_message(tmp_path: Path) -> None:
    """A file can have holes, so that it is larger than the disk."""
    path = tmp_path / "records"
    path.write_bytes(head(2**40))
    os.truncate(path, 2**41)
    with pytest.raises(StatusError, match="truncated record at 0"):
        list(read_records(path))

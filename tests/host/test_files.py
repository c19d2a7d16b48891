from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tfserve.errors import UsageError
from tfserve.host.files import read_bounded


def read(path: Path, *, regular: bool = True) -> bytes:
    return read_bounded(path, 10, what="The file", hint="Look at it.", regular=regular)


def problem(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        read(path)
    return caught.value.message


def test_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to("file")
    assert read(tmp_path / "file") == read(tmp_path / "link") == b"0123456789"
    (tmp_path / "file").write_bytes(b"0123456789 ")
    assert "is larger than" in problem(tmp_path / "file")


@pytest.mark.timeout(10)
def test_only_regular_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for name in ("", "pipe", "link", "socket", "/dev/zero"):
            assert problem(tmp_path / name) == "The file is not a file."
    for name in ("none", "pipe/none"):
        assert problem(tmp_path / name) == "The file does not exist."
    assert "cannot be read" in problem(tmp_path / "a\0b")


@pytest.mark.timeout(10)
def test_pipe_that_replaces_a_file_after_a_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a path led to before it was opened says nothing."""
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(Path, "is_file", lambda path: True)
    assert problem(tmp_path / "pipe") == "The file is not a file."

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tfserve.model_server.status import Code, StatusError
from tfserve.model_server.text_files import parse_text_file, read_text_file
from tfserve.protos.model_config_pb2 import ModelServerConfig


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for name, code, message in (
        ("none", Code.NOT_FOUND, "No such file or directory"),
        (".", Code.FAILED_PRECONDITION, "Is a directory"),
        ("empty", Code.INVALID_ARGUMENT, "the file is empty"),
    ):
        path = tmp_path / name
        with pytest.raises(StatusError) as caught:
            read_text_file(path)
        assert (caught.value.code, caught.value.message) == (code, f"{path}; {message}")


def test_files_that_never_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**40)
    for path, message in (
        (tmp_path / "pipe", "Not a regular file"),
        (Path("/dev/zero"), "Not a regular file"),
        (tmp_path / "large", "larger than 8388608 bytes"),
    ):
        with pytest.raises(StatusError, match=message):
            read_text_file(path)


def test_the_position_of_an_error_is_logged(capfd: pytest.CaptureFixture[str]) -> None:
    path = Path("/models/models.config")
    with pytest.raises(StatusError, match=r"Invalid protobuf file: '/models/models\.config'"):
        parse_text_file(path, b"\nmodel_config_list: 1", ModelServerConfig())
    log = capfd.readouterr().err
    assert log.startswith("E0000 ")
    assert "] Error parsing text-format tensorflow.serving.ModelServerConfig: 2:20: " in log

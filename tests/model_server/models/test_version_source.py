from __future__ import annotations

from pathlib import Path

import pytest

from tfserve.model_server.models.version_source import find_versions


def test_numbers_are_versions_and_nothing_else_is(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("1", "00000123", "7x", "-3", "1.0", "assets", "٣", str(2**63), str(2**63 - 1), "9" * 40):
        (tmp_path / name).mkdir()
    assert find_versions("m", tmp_path) == {
        1: tmp_path / "1",
        123: tmp_path / "00000123",
        2**63 - 1: tmp_path / str(2**63 - 1),
    }
    assert capfd.readouterr().err == ""


def test_two_names_for_one_version_are_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("1", "01"):
        (tmp_path / name).mkdir()
    assert find_versions("m", tmp_path) == {1: tmp_path / "1"}
    assert "Version 1 will be loaded from 1, 01 will be ignored." in capfd.readouterr().err


def test_nothing_there_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert find_versions("m", tmp_path) == {}
    assert f"No versions of servable m found under base path {tmp_path}. Did you forget" in capfd.readouterr().err
    assert find_versions("m", tmp_path / "none") is None
    assert f"Could not find base path {tmp_path}/none for servable m" in capfd.readouterr().err

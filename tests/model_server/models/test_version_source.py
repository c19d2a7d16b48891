from __future__ import annotations

from pathlib import Path

import pytest

from tfserve.model_server.models.config import All, Latest, ModelConfig, Specific, VersionPolicy
from tfserve.model_server.models.version_source import find_versions


def test_only_numbers_are_versions(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("1", "00000123", "7x", "-3", "1.0", "assets", "٣", str(2**63), str(2**63 - 1), "9" * 40):
        (tmp_path / name).mkdir()
    assert find_versions(ModelConfig("m", tmp_path, All())) == {
        1: tmp_path / "1",
        123: tmp_path / "00000123",
        2**63 - 1: tmp_path / str(2**63 - 1),
    }
    assert capfd.readouterr().err == ""


def test_two_names_for_one_version_are_logged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("1", "01"):
        (tmp_path / name).mkdir()
    assert find_versions(ModelConfig("m", tmp_path)) == {1: tmp_path / "1"}
    assert "Version 1 will be loaded from 1, 01 will be ignored." in capfd.readouterr().err


def test_missing_versions_and_base_paths_are_logged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert find_versions(ModelConfig("m", tmp_path)) == {}
    assert f"No versions of servable m found under base path {tmp_path}. Did you forget" in capfd.readouterr().err
    assert find_versions(ModelConfig("m", tmp_path / "none")) is None
    assert f"Could not find base path {tmp_path}/none for servable m" in capfd.readouterr().err
    assert find_versions(ModelConfig("m", Path("/a\0b"))) is None
    assert "for servable m with error NOT_FOUND" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("policy", "versions"),
    [
        (Latest(), [7]),
        (Latest(2), [3, 7]),
        (Latest(2**32 - 1), [1, 3, 7]),
        (All(), [1, 3, 7]),
        (Specific((3,)), [3]),
        (Specific((1, 7)), [1, 7]),
        (Specific(()), []),
    ],
)
def test_policies(tmp_path: Path, policy: VersionPolicy, versions: list[int]) -> None:
    for name in ("1", "3", "7"):
        (tmp_path / name).mkdir()
    assert find_versions(ModelConfig("m", tmp_path, policy)) == {n: tmp_path / str(n) for n in versions}


def test_missing_specific_versions_are_logged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "007").mkdir()
    assert find_versions(ModelConfig("m", tmp_path, Specific((7, 8)))) == {7: tmp_path / "007"}
    log = capfd.readouterr().err
    assert (
        "Version 8 of servable m, which was requested to be served as a 'specific' version in the servable's version "
        "policy, was not found in the file system"
    ) in log
    assert "No versions of servable m" not in log
    assert find_versions(ModelConfig("m", tmp_path, Specific((8,)))) == {}
    assert f"No versions of servable m found under base path {tmp_path}" in capfd.readouterr().err
    assert find_versions(ModelConfig("m", tmp_path, Specific(()))) == {}
    assert "No specific versions requested for servable m." in capfd.readouterr().err

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import in_process
from tests.program import Copy, Program, assert_error
from tfserve.cli.commands import inspect as command


def test_json_output(tfserve: Program, copied: Copy) -> None:
    model = copied("it's ä\nmodel")
    shutil.copytree(model / "1", model / "12")
    found = tfserve.json("inspect", model)
    assert list(found) == ["path", "versions"]
    assert found["path"] == str(model)
    assert [version["version"] for version in found["versions"]] == [1, 12]
    for version in found["versions"]:
        assert list(version) == ["version", "signatures"]
        assert version["signatures"]["serving_default"] == {
            "method": "tensorflow/serving/predict",
            "inputs": {"x": {"dtype": "DT_FLOAT", "shape": [-1]}},
            "outputs": {"y": {"dtype": "DT_FLOAT", "shape": [-1]}},
        }
        assert version["signatures"]["classify_x_to_y"]["method"] == "tensorflow/serving/classify"


def test_text_output(tfserve: Program, half_plus_two: Path) -> None:
    done = tfserve("inspect", half_plus_two / "1")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:2] == [f"{half_plus_two / '1'}: one version", "version 1"]
    start = lines.index("  serving_default  tensorflow/serving/predict")
    assert lines[start + 1 : start + 3] == ["    in   x  DT_FLOAT  (-1)", "    out  y  DT_FLOAT  (-1)"]


def test_tags(tfserve: Program, half_plus_two: Path) -> None:
    assert tfserve("inspect", half_plus_two, "--tags", "serve").returncode == 0
    assert_error(tfserve("inspect", half_plus_two, "--tags", "train,gpu", "--json"), 3, "with the tags gpu, train")


def test_only_the_newest_of_very_many_versions_are_read(
    tfserve: Program, copied: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_MAX_VERSIONS", 3)
    model = copied("m")
    for number in range(2, 6):
        (model / str(number)).symlink_to(model / "1")
    done = in_process(tfserve, "inspect", model, "--json")
    assert [version["version"] for version in json.loads(done.stdout)["versions"]] == [3, 4, 5]
    assert f"Only the newest 3 versions are shown; 2 more are in {model}.\n" in done.stderr


def test_an_error_of_a_text_file_is_one_sentence(tfserve: Program, tmp_path: Path) -> None:
    (tmp_path / "saved_model.pbtxt").write_text("meta_graphs 5")
    done = in_process(tfserve, "inspect", tmp_path)
    assert_error(done, 3, "is damaged or is not a SavedModel: ")
    assert '"{".\n' in done.stderr


def test_not_a_model(tfserve: Program, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert_error(tfserve("inspect", tmp_path / "empty"), 3, "is empty")
    assert_error(tfserve("inspect", tmp_path / "no", "--json"), 3, "There is no model at")
    assert tfserve("inspect").returncode == 2


def test_terminal_without_unicode(tfserve: Program, copied: Copy) -> None:
    model = copied("模型")
    done = tfserve("inspect", model, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "version 1" in done.stdout

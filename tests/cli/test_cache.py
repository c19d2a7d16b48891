from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.packing import model_files, tar_bytes, zip_bytes
from tests.program import Program, assert_error
from tfserve.errors import UsageError
from tfserve.models import cache as model_cache
from tfserve.models.source import find_source
from tfserve.servers import prune_cache

Captured = pytest.CaptureFixture[str]


def test_run_with_an_archive(tfserve: Program, half_plus_two: Path, tmp_path: Path) -> None:
    (tmp_path / "twice.zip").write_bytes(zip_bytes(model_files(half_plus_two / "1")))
    archive = tmp_path / "served.tgz"
    archive.write_bytes(tar_bytes(model_files(half_plus_two, "a/")))
    assert tfserve.json("inspect", tmp_path / "twice.zip")["versions"][0]["version"] == 1
    ran = tfserve("run", archive, "--engine", "local", "--rest-port", "0", "--grpc-port", "0", "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["name"] == "served"
    assert json.loads(ran.stdout)["smoke_test"]["response"] == {"outputs": [2.0]}
    assert f"Unpacking {archive} (" in ran.stderr
    listed = tfserve.json("cache")
    assert listed["path"] == str(tfserve.home / ".cache" / "tfserve" / "models")
    other, served = listed["models"]
    assert (other["source"], served["source"]) == (str(tmp_path / "twice.zip"), str(archive))
    assert_error(tfserve("cache", "clear", served["digest"][:6]), 2, "in use by 'served'", "tfserve rm served")
    cleared = tfserve("cache", "clear")
    assert cleared.stdout == "Removed 1 model, 11 kB.\n"
    assert "which is in use by served" in cleared.stderr
    assert Path(served["path"]).is_dir()
    assert tfserve("rm", "--force", "served").returncode == 0
    assert tfserve.json("cache", "clear") == {
        "removed": [served["digest"]],
        "kept": [],
        "freed_bytes": served["bytes"],
    }
    assert list(Path(listed["path"]).iterdir()) == []


def test_bad_input(tfserve: Program, tmp_path: Path) -> None:
    (tmp_path / "bad.zip").write_bytes(zip_bytes({"../out": b""}))
    assert_error(tfserve("run", tmp_path / "bad.zip", "--engine", "local"), 3, "could leave the model")
    assert_error(tfserve("inspect", "ftp://host/m.zip", "--json"), 2, "cannot read models from ftp://")
    assert_error(tfserve("cache", "list", "abc"), 2, "does not accept a DIGEST")
    assert list((tfserve.home / ".cache" / "tfserve" / "models").iterdir()) == []


def test_text_output(tfserve: Program, tmp_path: Path, half_plus_two: Path) -> None:
    assert tfserve("cache").stdout == "The cache is empty. tfserve run my_model.tar.gz adds a model to it.\n"
    (tmp_path / "m\x1b.zip").write_bytes(zip_bytes(model_files(half_plus_two)))
    assert tfserve("inspect", tmp_path / "m\x1b.zip").returncode == 0
    head, line = tfserve("cache", "list").stdout.splitlines()
    assert head.split() == ["DIGEST", "SIZE", "UNPACKED", "(UTC)", "SOURCE"]
    assert line.endswith("m\\x1b.zip")


def test_prune(tmp_path: Path, half_plus_two: Path, state_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    for number in range(2):
        (tmp_path / f"{number}.zip").write_bytes(zip_bytes({**model_files(half_plus_two), f"note-{number}": b""}))
        find_source(tmp_path / f"{number}.zip")
    first, second = model_cache.cached_models()
    root = model_cache.cache_root()
    (root / ".removed-x").mkdir()
    (root / ".draft-x").mkdir()
    with model_cache.Draft.begin("busy"):
        for wrong in ("", "x", "0" * 64):
            with pytest.raises(UsageError, match="No model in the cache"):
                prune_cache.prune([wrong])
        assert prune_cache.prune([first.digest[:9].upper()]).removed == (first,)
        assert (root / ".draft-x").exists()
        assert prune_cache.prune([]).removed == (second,)
        assert sorted(path.name for path in root.iterdir()) == [".draft-busy", ".draft-busy.lock"]
    assert list(root.iterdir()) == []
    assert prune_cache.prune([]).removed == ()

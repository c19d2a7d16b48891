from __future__ import annotations

import os
from pathlib import Path

import pytest

from tfserve.engines.local.model_paths import open_model, open_named

STRANGER, OTHER = 65534, 65533


def opened(base_path: Path) -> set[Path]:
    """The directories and files that are opened for a model."""
    found = set()
    for descriptor in open_model(base_path):
        found.add(Path(f"/proc/self/fd/{descriptor}").readlink())
        os.close(descriptor)
    return found


def of(*directories: Path) -> set[Path]:
    """What is opened of SavedModels that consist of one file."""
    return {directory / "saved_model.pb" for directory in directories}


def saved_model(directory: Path, owner: int | None = None) -> Path:
    directory.mkdir(parents=True)
    (directory / "saved_model.pb").touch()
    if owner is not None:
        os.chown(directory, owner, owner)
    return directory


def link(path: Path, target: Path | str, owner: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    if owner is not None:
        os.lchown(path, owner, owner)
    return path


def test_links_in_place_of_versions(tmp_path: Path) -> None:
    base, elsewhere = tmp_path / "base", saved_model(tmp_path / "elsewhere")
    text = tmp_path / "text"
    text.mkdir()
    (text / "saved_model.pbtxt").touch()
    saved_model(base / "1")
    link(base / "2", elsewhere)
    link(base / "3", "../text")
    link(base / "4", tmp_path / "base" / "5")  # through another link
    link(base / "5", "../elsewhere/../elsewhere")
    for name, target in (("6", tmp_path), ("7", "/etc"), ("8", "none"), ("9", "9"), ("x", elsewhere), ("\u0661", text)):
        link(base / name, target)
    found = {base, *of(elsewhere), text / "saved_model.pbtxt"}
    assert opened(base) == found
    assert opened(link(tmp_path / "to base", base)) == found
    assert opened(tmp_path / "none") == opened(link(tmp_path / "loop", "loop")) == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_links_of_other_users(tmp_path: Path) -> None:
    """They lead to what belongs to the same user, and not to a private model or to a shared directory."""
    base = saved_model(tmp_path / "base" / "1", STRANGER).parent
    private = saved_model(tmp_path / "private")
    theirs, others = saved_model(tmp_path / "theirs", STRANGER), saved_model(tmp_path / "others", OTHER)
    for number, target in enumerate((private, theirs, others), 2):
        link(base / str(number), target, STRANGER)
    link(base / "5", link(tmp_path / "hop", private, STRANGER))  # a link of root to one of the stranger
    assert opened(base) == {base, *of(theirs)}
    link(base / "6", others)
    assert opened(base) == {base, *of(theirs, others)}
    assert opened(link(tmp_path / "exchanged", private, STRANGER)) == set()  # since the server was made
    assert opened(link(tmp_path / "above", tmp_path, STRANGER) / "private") == set()
    assert opened(tmp_path / "above" / "theirs") == of(theirs)
    secret = private / "saved_model.pb"
    (descriptor,) = open_named([str(link(tmp_path / "file", secret, STRANGER)), str(secret), str(tmp_path / "none")])
    assert Path(f"/proc/self/fd/{descriptor}").readlink() == secret
    os.close(descriptor)


@pytest.mark.parametrize("linked", [False, True])
def test_files_of_a_saved_model_among_others(tmp_path: Path, linked: bool) -> None:
    """Of a home directory with a SavedModel in it, no private file is opened, nor of a directory above the model."""
    home, base = saved_model(tmp_path / "home"), tmp_path / "home" / "files" / "model"
    for name in ("variables", "assets", ".ssh", "debug/more"):
        (home / name).mkdir(parents=True)
    for name in ("fingerprint.pb", "model.tflite", ".bashrc", ".ssh/id_rsa", "variables/variables.index", "key"):
        (home / name).touch()
    (home / "keras_metadata.pb").mkdir()  # not a file
    (home / "assets.extra").touch()  # not a directory
    base.mkdir(parents=True)
    link(base / "2", "../..")
    found = {
        home / name for name in ("saved_model.pb", "fingerprint.pb", "model.tflite", "variables", "assets", "debug")
    }
    assert opened(base if linked else home) == found | ({base} if linked else set())


def test_links_in_a_saved_model(tmp_path: Path) -> None:
    """They are followed to what else is in it, and not out of it."""
    model, outside = saved_model(tmp_path / "model"), saved_model(tmp_path / "outside")
    (model / "of variables").mkdir()
    (model / "key").touch()
    for name, target in (
        *(("variables", "of variables"), ("fingerprint.pb", "key"), ("assets", "."), ("debug", "../model")),
        *(("assets.extra", outside), ("model.tflite", "../outside/saved_model.pb"), ("keras_metadata.pb", "none")),
    ):
        link(model / name, target)
    assert opened(model) == {model / "saved_model.pb", model / "of variables", model / "key"}
    (model / "saved_model.pb").unlink()
    link(model / "saved_model.pb", outside / "saved_model.pb")
    assert outside / "saved_model.pb" not in opened(model)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    base = saved_model(tmp_path / "base" / "1").parent
    link(base / "2", tmp_path)
    link(base / "3", "none")
    before = set(Path("/proc/self/fd").iterdir())
    link(base / "4", saved_model(tmp_path / "elsewhere"))
    link(tmp_path / "elsewhere" / "assets", tmp_path)
    assert opened(base) == {base, *of(tmp_path / "elsewhere")}
    assert opened(tmp_path / "elsewhere") == of(tmp_path / "elsewhere")
    assert set(Path("/proc/self/fd").iterdir()) == before

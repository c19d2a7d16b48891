from __future__ import annotations

import os
from pathlib import Path

import pytest

from tfserve.engines.local.model_paths import open_model, open_named

STRANGER, OTHER = 65534, 65533


def opened(base_path: Path) -> set[Path]:
    """The directories that are opened for a model."""
    found = set()
    for descriptor in open_model(base_path):
        found.add(Path(f"/proc/self/fd/{descriptor}").readlink())
        os.close(descriptor)
    return found


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
    assert opened(base) == {base, elsewhere, text}
    assert opened(link(tmp_path / "to base", base)) == {base, elsewhere, text}
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
    assert opened(base) == {base, theirs}
    link(base / "6", others)
    assert opened(base) == {base, theirs, others}
    assert opened(link(tmp_path / "exchanged", private, STRANGER)) == set()  # since the server was made
    assert opened(link(tmp_path / "above", tmp_path, STRANGER) / "private") == set()
    assert opened(tmp_path / "above" / "theirs") == {theirs}
    secret = private / "saved_model.pb"
    (descriptor,) = open_named([str(link(tmp_path / "file", secret, STRANGER)), str(secret), str(tmp_path / "none")])
    assert Path(f"/proc/self/fd/{descriptor}").readlink() == secret
    os.close(descriptor)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    base = saved_model(tmp_path / "base" / "1").parent
    link(base / "2", tmp_path)
    link(base / "3", "none")
    before = set(Path("/proc/self/fd").iterdir())
    assert opened(base) == {base}
    assert set(Path("/proc/self/fd").iterdir()) == before

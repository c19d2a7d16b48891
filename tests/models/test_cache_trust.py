"""A cached model is served only if no other user could have written it."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tfserve.errors import TfserveError
from tfserve.models.cache import CacheValidators, cached_models, find_validators, save_validators
from tfserve.models.source import find_source

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tfserve" / "models"


@pytest.fixture
def archive(half_plus_two: Path, tmp_path: Path) -> Path:
    path = tmp_path / "m.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(half_plus_two, "m")
    return path


PLACES: dict[str, Callable[[Path, str], Path]] = {
    "the home": lambda root, digest: root.parent.parent,
    "its directory": lambda root, digest: root.parent,
    "the root": lambda root, digest: root,
    "a model": lambda root, digest: root / digest,
    "its content": lambda root, digest: root / digest / "model",
    "its record": lambda root, digest: root / digest / "model.json",
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("owner", [pytest.param(NOBODY, marks=needs_root), None])
def test_a_cache_that_another_user_can_change(root: Path, archive: Path, place: str, owner: int | None) -> None:
    find_source(archive)
    (model,) = cached_models()
    path = PLACES[place](root, model.digest)
    mode = path.stat().st_mode
    if owner is None:
        path.chmod(0o777)
    else:
        os.chown(path, owner, -1)
    for use in (lambda: find_source(archive), cached_models):
        with pytest.raises(TfserveError, match="tfserve does not use") as caught:
            use()
        assert str(path) in caught.value.message
        assert "export XDG_CACHE_HOME=" in str(caught.value.hint)
        assert caught.value.exit_code == 4
    path.chmod(mode)
    if owner is not None:
        os.chown(path, 0, -1)
    assert find_source(archive).path.is_relative_to(root)


@pytest.mark.parametrize("name", ["", "key.json"])
def test_validators_that_another_user_can_change(root: Path, name: str) -> None:
    root.mkdir(parents=True, mode=0o700)
    save_validators("key", CacheValidators("digest", "etag", None))
    assert find_validators("key") == CacheValidators("digest", "etag", None)
    (root / ".urls" / name).chmod(0o777)
    with pytest.raises(TfserveError, match="tfserve does not use"):
        find_validators("key")


@pytest.mark.parametrize("umask", [0, 0o002, 0o777])
def test_everything_is_created_for_this_user_alone(root: Path, archive: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        if umask != 0o777:  # the contents of an archive have the permissions of new files
            find_source(archive)
        else:
            root.mkdir(parents=True, exist_ok=True)
        save_validators("key", CacheValidators("digest", None, None))
    finally:
        os.umask(before)
    own = [root / ".urls", *(model.path.parent for model in cached_models())]
    if umask != 0o777:
        own += [root, root.parent, root.parent.parent]
    assert {path.stat().st_mode & 0o777 for path in own} == {0o700}
    assert (root / ".urls" / "key.json").stat().st_mode & 0o777 == 0o600

"""A model that someone else may have made or can change is a program of someone else, and a notice says so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.program import Copy
from tfserve.models.origin import origin_notice
from tfserve.models.saved_model import find_model
from tfserve.models.url import Url

NOBODY = 65534


def notice(path: Path) -> str:
    return origin_notice("m", path, find_model(path)) or ""


def test_the_users_own_model(copied: Copy) -> None:
    assert notice(copied("m")) == ""


@pytest.mark.parametrize(
    "address",
    ["https://ada:pw@models.example/m.tar.gz?key=1", "http://127.0.0.1:1/m.zip", "gs://bucket/m", "s3://bucket/m"],
)
def test_addresses(address: str, half_plus_two: Path) -> None:
    url = Url(address)
    text = origin_notice("m", url, None if url.in_bucket else find_model(half_plus_two)) or ""
    assert f"'m' comes from {url.redacted}. A model is a program" in text
    assert "pw" not in text and "key" not in text
    assert "tfserve help security" in text


def test_archive(half_plus_two: Path, tmp_path: Path) -> None:
    archive = tmp_path / "m.tar.gz"
    archive.touch()
    assert "'m' comes from an archive. A model is a program" in (
        origin_notice("m", archive, find_model(half_plus_two)) or ""
    )


PLACES: dict[str, Callable[[Path], Path]] = {
    "the directory above": lambda model: model.parent,
    "the model": lambda model: model,
    "a version": lambda model: model / "1",
    "the graph": lambda model: model / "1" / "saved_model.pb",
    "a new directory": lambda model: Path(shutil.copytree(model / "1" / "variables", model / "1" / "assets.extra")),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("change", ["group", "others", "owner"])
def test_a_directory_that_another_user_can_write(copied: Copy, place: str, change: str) -> None:
    if change == "owner" and os.geteuid() != 0:
        pytest.skip("only root can give a file to another user")
    model = copied("m")
    path = PLACES[place](model)
    mode = path.stat().st_mode
    if change == "owner":
        os.chown(path, NOBODY, NOBODY)
    elif change == "group" and os.geteuid() != 0:
        pytest.skip("the group of the tests may be the private one of their user")
    else:
        path.chmod(mode | (0o020 if change == "group" else 0o002))
    try:
        assert f"Other users can change 'm': '{path}' belongs to " in notice(model)
    finally:
        path.chmod(mode)


def test_a_version_that_is_elsewhere(copied: Copy, tmp_path: Path) -> None:
    model, elsewhere = copied("m"), tmp_path / "releases"
    (model / "1").rename(elsewhere)
    (model / "1").symlink_to(elsewhere)
    assert notice(model) == ""
    elsewhere.chmod(0o777)
    assert f"'{elsewhere}' belongs to" in notice(model)

from __future__ import annotations

import pwd
import subprocess
import sys
from pathlib import Path
from typing import Literal, NoReturn

import pytest

from tfserve.host.directories import user_directory


@pytest.mark.parametrize(
    ("kind", "configured", "found"),
    [
        ("state", "/state", "/state/tfserve"),
        ("state", "", "/home/me/.local/state/tfserve"),
        ("state", "relative", "/home/me/.local/state/tfserve"),
        ("cache", "/cache", "/cache/tfserve"),
        ("cache", "", "/home/me/.cache/tfserve"),
        ("cache", "~/cache", "/home/me/.cache/tfserve"),
    ],
)
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_user_directory(
    kind: Literal["cache", "state"], configured: str, found: str, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv(f"XDG_{kind.upper()}_HOME", configured)
    assert user_directory(kind) == Path(found)


def test_user_without_a_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_user(uid: int) -> NoReturn:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", no_such_user)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert user_directory("cache") is None
    assert user_directory("state") == Path("/state/tfserve")


def test_help_does_not_load_the_libraries() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "tfserve", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "typer" in loaded
    assert not loaded & {"platformdirs", "filelock"}

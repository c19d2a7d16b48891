from __future__ import annotations

from pathlib import Path

import pytest

from tfserve.host import xdg


@pytest.mark.parametrize(
    ("configured", "found"),
    [("/state", "/state"), ("", "/home/me/.local/state"), ("relative", "/home/me/.local/state")],
)
def test_where_files_go(configured: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_STATE_HOME", configured)
    assert xdg.base_directory("XDG_STATE_HOME", ".local/state") == Path(found)


def test_a_home_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "relative")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert xdg.base_directory("XDG_STATE_HOME", ".local/state") is None

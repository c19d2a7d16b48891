from __future__ import annotations

from pathlib import Path

import pytest

from tfserve.config.paths import normalized


def test_dots_and_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    monkeypatch.chdir(tmp_path / "a")
    assert normalized(Path("../a/./b")) == tmp_path / "a" / "b"
    assert normalized(Path("../gone/../link/m")) == tmp_path / "link" / "m"
    assert normalized(Path("../link/../m")) == tmp_path / "a" / ".." / "link" / ".." / "m"  # it refers to a/m, not to m
    for path in ("\0/../m", "../loop/../m"):
        assert normalized(Path(path)).is_absolute()

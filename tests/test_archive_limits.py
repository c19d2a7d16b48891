from __future__ import annotations

from pathlib import Path

import pytest

from tfserve.errors import UsageError
from tfserve.models.extract import Limits


def test_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "small").write_bytes(b"x" * 100)
    assert Limits.configured() == Limits()
    assert Limits().size_of(tmp_path / "small") == 2**30
    monkeypatch.setenv("TFSERVE_ARCHIVE_MAX_GIB", "1.5")
    monkeypatch.setenv("TFSERVE_ARCHIVE_MAX_ENTRIES", "7")
    assert Limits.configured() == Limits(size=3 * 2**29, entries=7, ratio=None)
    assert Limits.configured().size_of(tmp_path / "small") == 3 * 2**29
    for wrong in ("much", "-1", "0", "nan", "inf"):
        monkeypatch.setenv("TFSERVE_ARCHIVE_MAX_GIB", wrong)
        with pytest.raises(UsageError, match="is not a number"):
            Limits.configured()

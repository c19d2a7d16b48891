"""An engine in memory, for tests of the life of a server that need no real ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.memory import MemoryEngine
from tests.engines.memory_package import installed
from tfserve.engines import registry


@pytest.fixture
def memory(tmp_path: Path, state_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryEngine]:
    """An engine without servers, and the only one that is looked at."""
    monkeypatch.setattr(registry, "engine_names", lambda: ("memory",))
    with installed(tmp_path / "engines") as engine:
        yield engine

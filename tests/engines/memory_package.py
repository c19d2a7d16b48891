"""Installs the memory engine the way a new engine is: as one more package below `tfserve.engines`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tfserve.engines
from tests.engines.memory import KIND, MemoryEngine

__all__ = ["installed", "write_package"]


def write_package(directory: Path) -> Path:
    """Writes the package into `directory`, which is to be a place of packages of `tfserve.engines`."""
    package = directory / "memory"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""The memory engine."""\nfrom tests.engines.memory import KIND\n')
    return directory


@contextmanager
def installed(directory: Path) -> Iterator[MemoryEngine]:
    """Installs it in this process for the block, beside the other engines; it has no servers yet."""
    path = str(write_package(directory))
    KIND.engine = MemoryEngine()
    tfserve.engines.__path__.append(path)
    try:
        yield KIND.engine
    finally:
        tfserve.engines.__path__.remove(path)
        sys.modules.pop("tfserve.engines.memory", None)

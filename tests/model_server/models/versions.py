"""Base paths for the tests of models: versions that answer their number, broken ones, and ones that are stuck."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tfserve.model_server.models.manager import Manager, ModelSpec
from tfserve.model_server.status import StatusError


def add(models: Path, base_path: Path, version: int, broken: bool = False) -> None:
    """Puts version 1 or 2 there at once, as a careful exporter does."""
    base_path.mkdir(exist_ok=True)
    made = base_path.parent / "made"
    shutil.copytree(models / "constant" / str(version), made)
    if broken:
        (made / "saved_model.pb").write_bytes(b"\x0a\xff")
    made.rename(base_path / str(version))


@contextmanager
def stuck(base_path: Path, version: int) -> Iterator[None]:
    """Puts a version there whose load goes on until the ``with`` block is left, and then fails."""
    made = base_path / "made"
    made.mkdir(parents=True)
    os.mkfifo(made / "pipe")  # which cannot be opened to be read before somebody opens it to write
    os.link(made / "pipe", made / "saved_model.pb")
    made.rename(base_path / str(version))
    pipe = base_path / str(version) / "pipe"
    try:
        yield
    finally:
        (pipe.parent / "saved_model.pb").unlink()
        os.close(os.open(pipe, os.O_RDWR))


def answer(manager: Manager, *asked: object, name: str = "m") -> float:
    """Returns what a model answers, which is its version; `asked` is the rest of the `ModelSpec`."""
    with manager.use(ModelSpec(name, *asked)) as servable:  # type: ignore[arg-type]
        return float(servable.run("", {"x": np.zeros(1, np.float32)})["y"][0])


def states(manager: Manager, name: str = "m") -> dict[int, str]:
    """Returns the state of each version that was seen; empty before any was."""
    try:
        return {status.version: status.state for status in manager.statuses(name)}
    except StatusError:
        return {}

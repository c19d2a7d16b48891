"""Base paths for the tests of models: versions that return their number, broken ones, and ones whose load hangs."""

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
    """Adds version 1 or 2 atomically, as a careful exporter does."""
    base_path.mkdir(exist_ok=True)
    made = base_path.parent / "made"
    shutil.copytree(models / "constant" / str(version), made)
    if broken:
        (made / "saved_model.pb").write_bytes(b"\x0a\xff")
    made.rename(base_path / str(version))


@contextmanager
def stuck(base_path: Path, version: int) -> Iterator[None]:
    """Adds a version whose load hangs until the ``with`` block is left, and then fails."""
    made = base_path / "made"
    made.mkdir(parents=True)
    os.mkfifo(made / "pipe")  # opening it for reading blocks until it is opened for writing
    os.link(made / "pipe", made / "saved_model.pb")
    made.rename(base_path / str(version))
    pipe = base_path / str(version) / "pipe"
    try:
        yield
    finally:
        (pipe.parent / "saved_model.pb").unlink()
        os.close(os.open(pipe, os.O_RDWR))


def answer(manager: Manager, *version: object, name: str = "m") -> float:
    """Returns the output of a model, which is its version; `version` is the rest of the `ModelSpec`."""
    with manager.use(ModelSpec(name, *version)) as servable:  # type: ignore[arg-type]
        return float(servable.run("", {"x": np.zeros(1, np.float32)})["y"][0])


def states(manager: Manager, name: str = "m") -> dict[int, str]:
    """Returns the state of each known version; empty before there is one."""
    try:
        return {status.version: status.state for status in manager.statuses(name)}
    except StatusError:
        return {}

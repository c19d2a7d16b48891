"""Chooses what runs a model."""

from __future__ import annotations

from pathlib import Path

from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.runtime.session import LoadOptions, SessionServable


def load_servable(name: str, version: int, directory: Path, options: LoadOptions) -> Servable:
    """Loads a version of a model.

    Args:
        name: the model's name.
        version: its version, a number.
        directory: the SavedModel directory.
        options: how to load it.

    Raises:
        StatusError: it is not a SavedModel, has no such tags, or cannot be loaded; its batching parameters are wrong.
    """
    servable = SessionServable(name, version, directory, options)
    if options.batching is None:
        return servable
    try:
        return options.batching.applied_to(servable, directory)
    except BaseException:
        servable.close()
        raise

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
        StatusError: it is not a SavedModel, has no such tags, cannot be loaded, or fails its warm-up.
    """
    servable = SessionServable(name, version, directory, options)
    servable.checks_methods = options.check_methods
    if options.warm_up is not None:
        try:
            options.warm_up(servable, directory)
        except BaseException:
            servable.close()
            raise
    return servable

"""Loads a version of a model, with the runtime that its directory needs."""

from __future__ import annotations

from pathlib import Path

from tfserve.model_server import log
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.runtime.session import LoadOptions, SessionServable
from tfserve.model_server.status import Code, StatusError


def load_servable(name: str, version: int, directory: Path, options: LoadOptions) -> Servable:
    """Loads a version of a model.

    Args:
        name: the model's name.
        version: its version, a number.
        directory: the SavedModel directory.
        options: how to load it.

    Raises:
        StatusError: the directory is not a SavedModel, has no graph with the tags, cannot be loaded, fails its warm-up,
            or has invalid batching parameters.
    """
    servable = _load(name, version, directory, options)
    try:
        if options.batching is not None:
            servable = options.batching.wrap(servable, directory)
        servable.checks_methods = options.check_methods
        if options.warm_up is not None:
            options.warm_up(servable, directory)
    except BaseException:
        servable.close()
        raise
    return servable


def _load(name: str, version: int, directory: Path, options: LoadOptions) -> Servable:
    if options.tflite_interpreters > 0:
        from tfserve.model_server.runtime import tflite  # imported here, as few servers need it

        file = directory / tflite.MODEL_FILE
        if file.exists():
            if tflite.is_installed():
                return tflite.TfliteServable(name, version, file, options.tflite_interpreters)
            missing = f"{file} needs LiteRT, which is not installed: pip install ai-edge-litert"
            if not any((directory / saved_model).exists() for saved_model in ("saved_model.pb", "saved_model.pbtxt")):
                raise StatusError(Code.FAILED_PRECONDITION, missing)
            log.warning(f"{missing}; serving the SavedModel instead")
    return SessionServable(name, version, directory, options)

"""What facts refuse: a server that could not serve, found before anything starts.

``run`` and ``up`` look here first, and ``config`` only here. Each complaint says which part of the spec it is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tfserve.errors import TfserveError, about
from tfserve.models.saved_model import ModelDirectory, check_version, find_model
from tfserve.models.source import find_source
from tfserve.models.url import Url
from tfserve.progress import Progress
from tfserve.spec.model import ModelSpec
from tfserve.spec.models_config import placed_in
from tfserve.spec.serve import ServeSpec
from tfserve.spec.server_flags import check_flag_files, model_tags
from tfserve.spec.versions import VersionPolicy, check_versions

__all__ = ["check_models"]


def check_models(spec: ServeSpec, progress: Progress, *, download: bool = True) -> tuple[ModelDirectory, ...]:
    """Refuses what cannot be served, and returns the models that are on this machine, in the order of `spec`.

    Args:
        spec: what was asked for.
        progress: told of downloads.
        download: whether to fetch what is behind an address; else only what is here is looked at, and returned.

    Raises:
        UsageError: a flag's file, a version or a label is not there.
        SavedModelError: a model is not there, or is none.
    """
    check_flag_files(spec.server_flags)
    tags = model_tags(spec.server_flags)
    directories = []
    for index, model in enumerate(spec.models):
        if model.is_remote or (isinstance(model.path, Url) and not download):
            continue
        with _said_by(spec, index):
            directories.append(_look_at(model, tags, progress, archives=spec.config is None))
    return tuple(directories)


def _look_at(model: ModelSpec, tags: frozenset[str], progress: Progress, *, archives: bool) -> ModelDirectory:
    with _path_unless_said():
        if archives or isinstance(model.path, Url):
            directory = find_source(model.path, sha256=model.sha256, progress=progress)
        else:
            directory = find_model(model.path)  # the server reads the file itself, and knows no archives
    there = [version.number for version in directory.versions]
    served = check_versions(model.name, model.versions or VersionPolicy(), model.labels, there)
    with _path_unless_said():
        for version in directory.versions:
            if version.number in served:
                check_version(version, tags=tags)
    return directory


@contextmanager
def _said_by(spec: ServeSpec, index: int) -> Iterator[None]:
    """Says of the errors in the block where a model was asked for: in `spec` itself, or in its ``models.config``."""
    if spec.config is None:
        with about("models", index):
            yield
    else:
        with about("config"), placed_in(spec.config, spec.models[index].name):
            yield


@contextmanager
def _path_unless_said() -> Iterator[None]:
    try:
        yield
    except TfserveError as error:
        error.about = error.about or ("path",)
        raise

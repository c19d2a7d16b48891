"""Checks of a spec against the files on this machine, before anything starts.

``tfserve run`` and ``tfserve up`` begin with these checks, and ``tfserve config`` runs nothing else. Each error names
the part of the spec that it is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tfserve.errors import TfserveError, about, located
from tfserve.models.saved_model import ModelDirectory, check_version, find_model
from tfserve.models.source import find_source
from tfserve.models.url import Url
from tfserve.progress import Progress
from tfserve.spec.model import ModelSpec
from tfserve.spec.models_config import locate_in
from tfserve.spec.serve import ServeSpec
from tfserve.spec.server_flags import check_flag_files, model_tags
from tfserve.spec.versions import VersionPolicy, check_versions

__all__ = ["check_models"]


def check_models(
    spec: ServeSpec, progress: Progress, *, download: bool = True, addresses: bool = False
) -> tuple[ModelDirectory, ...]:
    """Checks that a server can serve its models, and returns those on this machine, in the order of `spec`.

    Args:
        spec: the server.
        progress: receives the progress of downloads.
        download: whether to download models from addresses; otherwise they are neither checked nor returned.
        addresses: whether to return those models all the same, as the cache has them or else only as addresses.

    Raises:
        UsageError: a flag's file, a version or a label is not available.
        SavedModelError: a model does not exist, or is not a SavedModel.
    """
    check_flag_files(spec.server_flags)
    tags = model_tags(spec.server_flags)
    directories = []
    for index, model in enumerate(spec.models):
        if model.is_remote or (isinstance(model.path, Url) and not (download or addresses)):
            continue
        with _located(spec, index):
            directories.append(_check_model(model, tags, progress, archives=spec.config is None, download=download))
    return tuple(directories)


def _check_model(
    model: ModelSpec, tags: frozenset[str], progress: Progress, *, archives: bool, download: bool
) -> ModelDirectory:
    with _about_path():
        if archives or isinstance(model.path, Url):
            directory = find_source(model.path, sha256=model.sha256, progress=progress, download=download)
        else:
            directory = find_model(model.path)  # a user's own models.config cannot refer to archives
    if directory.address is not None:
        return directory
    available = [version.number for version in directory.versions]
    served = check_versions(model.name, model.versions or VersionPolicy(), model.labels, available)
    with _about_path():
        for version in directory.versions:
            if version.number in served:
                check_version(version, tags=tags)
    return directory


@contextmanager
def _located(spec: ServeSpec, index: int) -> Iterator[None]:
    """Adds to the errors in the block where a model is described: in `spec` itself, or in its ``models.config``."""
    if spec.config is None:
        with about("models", index):
            yield
    else:
        with about("config"), located(locate_in(spec.config, spec.models[index].name)):
            yield


@contextmanager
def _about_path() -> Iterator[None]:
    """Makes the errors in the block about the path of the model, unless they are about something else."""
    try:
        yield
    except TfserveError as error:
        error.about = error.about or ("path",)
        raise

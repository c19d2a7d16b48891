"""Finds the versions of a model to serve: the numbered directories under its base path that its policy selects.

Source: ``FileSystemStoragePathSource`` of TensorFlow Serving.
"""

from __future__ import annotations

import re
from pathlib import Path

from tfserve.model_server import log
from tfserve.model_server.models.config import All, Latest, ModelConfig, Specific

MAX_VERSION = (1 << 63) - 1

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):/(.*)", re.DOTALL)
_VERSION_NAME = re.compile(r"[0-9]{1,32}")


def find_versions(model: ModelConfig) -> dict[int, Path] | None:
    """Returns the versions that should be served; logs a warning if there are none, or if a requested one is missing.

    Returns:
        Version -> path, or None if the base path cannot be read, which may be temporary.
    """
    if model.policy == Specific(()):
        log.warning(f"No specific versions requested for servable {model.name}.")
        return {}
    try:
        if isinstance(model.policy, Specific):
            named = {version: model.base_path / str(version) for version in model.policy.versions}
            if all(path.exists() for path in named.values()):  # avoids listing a directory that may be large
                return named
        children = sorted(model.base_path.iterdir())
    except (OSError, ValueError) as failure:
        problem = failure.strerror if isinstance(failure, OSError) else str(failure)
        scheme = _SCHEME.match(str(model.base_path))  # Path has reduced the two slashes of a URI to one
        path = f"{scheme[1]}://{scheme[2]}" if scheme else model.base_path
        status = (
            f"UNIMPLEMENTED: File system scheme '{scheme[1]}' not implemented (file: '{path}')"
            if scheme
            else f"NOT_FOUND: {path} cannot be read: {problem}"
        )
        log.error(
            "FileSystemStoragePathSource encountered a filesystem access error: Could not find base path "
            f"{path} for servable {model.name} with error {status}"
        )
        return None
    chosen = _choose(model, _index(children))
    if not chosen:
        log.warning(
            f"No versions of servable {model.name} found under base path {model.base_path}. "
            "Did you forget to name your leaf directory as a number (eg. '/1/')?"
        )
    return chosen


def _index(children: list[Path]) -> dict[int, Path]:
    """Returns the children whose names are version numbers, by number."""
    versions: dict[int, Path] = {}
    for child in children:
        if not _VERSION_NAME.fullmatch(child.name) or int(child.name) > MAX_VERSION:
            continue
        version = int(child.name)
        if version in versions:
            log.warning(
                f"Duplicate version directories detected. Version {version} will be loaded from {child.name}, "
                f"{versions[version].name} will be ignored."
            )
        versions[version] = child
    return versions


def _choose(model: ModelConfig, versions: dict[int, Path]) -> dict[int, Path]:
    """Returns the `versions` that the policy of `model` selects."""
    match model.policy:
        case Latest(count):
            return {version: versions[version] for version in sorted(versions)[-count:]}
        case All():
            return versions
        case Specific(wanted):
            for version in wanted:
                if version not in versions:
                    log.warning(
                        f"Version {version} of servable {model.name}, which was requested to be served as a 'specific' "
                        "version in the servable's version policy, was not found in the file system"
                    )
            return {version: versions[version] for version in wanted if version in versions}

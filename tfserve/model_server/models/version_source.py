"""Which versions of a model there are: the numbered directories under its base path.

Source: ``FileSystemStoragePathSource`` of TensorFlow Serving.
"""

from __future__ import annotations

import re
from pathlib import Path

from tfserve.model_server import log

MAX_VERSION = (1 << 63) - 1

_VERSION_NAME = re.compile(r"[0-9]{1,32}")


def find_versions(name: str, base_path: Path) -> dict[int, Path] | None:
    """Returns what is under `base_path` and named like a version, by number; logs it if there is nothing.

    Args:
        name: the model's name, for the log.
        base_path: directory of the model's versions.

    Returns:
        Version -> path, or None if `base_path` cannot be read, which may be for a moment only.
    """
    try:
        children = sorted(base_path.iterdir())
    except OSError as failure:
        log.error(
            "FileSystemStoragePathSource encountered a filesystem access error: Could not find base path "
            f"{base_path} for servable {name} with error NOT_FOUND: {base_path} cannot be read: {failure.strerror}"
        )
        return None
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
    if not versions:
        log.warning(
            f"No versions of servable {name} found under base path {base_path}. "
            "Did you forget to name your leaf directory as a number (eg. '/1/')?"
        )
    return versions

"""Where a model comes from, as far as that matters for whether to run it: a SavedModel is a program."""

from __future__ import annotations

from pathlib import Path

from tfserve.host.private import who_can_change
from tfserve.models.saved_model import ModelDirectory
from tfserve.models.url import Url

__all__ = ["origin_notice"]

_PROGRAMS = "A model is a program that the server runs; see tfserve help security."


def origin_notice(name: str, source: Path | Url, directory: ModelDirectory | None) -> str | None:
    """Returns a line about a model that someone else may have made or can change; None if it can only be the user's.

    Args:
        name: the name of the model.
        source: a model directory, an archive, the address of an archive, or a base path in a bucket.
        directory: where its files are on this machine; None for a bucket.
    """
    if isinstance(source, Url):
        return f"{name!r} comes from {source.shown}. {_PROGRAMS}"
    if directory is None or not source.expanduser().is_dir():
        return f"{name!r} comes from an archive. {_PROGRAMS}"
    if danger := next(filter(None, map(who_can_change, _places(directory))), None):
        return f"Other users can change {name!r}: {danger}. {_PROGRAMS}"
    return None


def _places(directory: ModelDirectory) -> list[Path]:
    """Returns the directory of the model, and those of the versions that are elsewhere."""
    elsewhere = [version.path for version in directory.versions if not version.path.is_relative_to(directory.path)]
    return [directory.path, *elsewhere]

"""Where a model comes from, as far as that matters for whether to run it: a SavedModel is a program."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tfserve.host.private import who_can_change
from tfserve.models.saved_model import ModelDirectory
from tfserve.models.url import Url
from tfserve.progress import Progress

__all__ = ["origin_notice", "report_origins"]

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


def report_origins(
    models: Iterable[tuple[str, Path | Url]], directories: Iterable[ModelDirectory], progress: Progress
) -> None:
    """Prints a notice for each model that someone else may have made or can change.

    Args:
        models: the name and source of each model.
        directories: the directories of those that are not in a bucket, in the same order.
        progress: receives the notices.
    """
    on_this_machine = iter(directories)
    for name, source in models:
        directory = None if isinstance(source, Url) and source.in_bucket else next(on_this_machine)
        if notice := origin_notice(name, source, directory):
            progress.notice(notice)


def _places(directory: ModelDirectory) -> list[Path]:
    """Returns the directory of the model, and those of the versions that are elsewhere."""
    elsewhere = [version.path for version in directory.versions if not version.path.is_relative_to(directory.path)]
    return [directory.path, *elsewhere]

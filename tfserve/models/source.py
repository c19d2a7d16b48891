"""Finds the model that somebody asks for, wherever it is: in a directory, in an archive, or at an address of one.

What comes out of an archive is kept in the cache, and is a directory like any other from then on.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tfserve.errors import UsageError, Wording
from tfserve.models.saved_model import ModelDirectory, find_model
from tfserve.models.url import Url, check_digest, is_archive, stem
from tfserve.progress import Progress, Silent

__all__ = ["find_source", "source_name"]


def source_name(source: Path | Url) -> str:
    """The name of a model when nobody gives one: that of its directory or archive. Nothing is downloaded for it.

    Raises:
        SavedModelError: `source` is no model.
    """
    if isinstance(source, Url):
        return source.model_name
    return stem(source.name) if _is_archive_file(source) else find_model(source).default_name


def find_source(source: Path | Url, *, sha256: str | None = None, progress: Progress | None = None) -> ModelDirectory:
    """Finds the model directory of `source`; an archive is unpacked into the cache first, once.

    An archive holds a SavedModel, or versions named by numbers, either at its root or in a directory of its own.

    Args:
        source: a model directory, an archive, or the address of one.
        sha256: the digest that the archive has to have, in hexadecimal digits; None for any.
        progress: told of downloads.

    Raises:
        SavedModelError: there is nothing, or nothing that TensorFlow Serving can serve.
        UsageError: `sha256` is not a digest, or `source` a directory.
        TfserveError: the cache cannot be used.
    """
    if sha256 is not None:
        check_digest(sha256)
    if not isinstance(source, Url) and not _is_archive_file(source):
        if sha256 is not None:
            raise UsageError(
                f"{str(source)!r} is not an archive, and has no digest.",
                hint=Wording("Leave {sha256} out."),
                about=("sha256",),
            )
        return find_model(source)
    from tfserve.models.archives import base_path_in, unpacked_download, unpacked_file

    if isinstance(source, Url) and source.in_bucket:
        raise UsageError(
            f"{source.shown} is in a bucket, which only a server reads.",
            hint=f"Serve it: tfserve run {source.shown}. Or copy it to this machine first.",
        )
    wanted = None if sha256 is None else sha256.lower()
    told = progress or Silent()
    if isinstance(source, Url):
        cached = unpacked_download(source, wanted, told)
    else:
        cached = unpacked_file(source.expanduser(), wanted, told)
    return dataclasses.replace(find_model(base_path_in(cached.path)), default_name=source_name(source))


def _is_archive_file(path: Path) -> bool:
    return is_archive(path) and path.expanduser().is_file()

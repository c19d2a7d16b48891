"""Finds a model wherever it is: in a directory, in an archive, or in an archive at an address.

An archive is unpacked into the cache; from then on, its model is a directory like any other.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tfserve.errors import UsageError, Wording
from tfserve.models.saved_model import Layout, ModelDirectory, ModelVersion, find_model
from tfserve.models.url import Url, check_digest, is_archive, stem
from tfserve.progress import Progress, Silent

__all__ = ["find_source", "source_name"]


def source_name(source: Path | Url) -> str:
    """Returns the default name of a model: the name of its directory or archive. Nothing is downloaded.

    Raises:
        SavedModelError: `source` is not a model.
    """
    if isinstance(source, Url):
        return source.model_name
    return stem(source.name) if _is_archive_file(source) else find_model(source).default_name


def find_source(
    source: Path | Url, *, sha256: str | None = None, progress: Progress | None = None, download: bool = True
) -> ModelDirectory:
    """Finds the model directory of `source`; an archive is first unpacked into the cache, once.

    An archive contains a SavedModel, or versions named by numbers, either at its root or in one directory.

    Args:
        source: a model directory, an archive, or the address of an archive.
        sha256: the expected digest of the archive, in hexadecimal digits; None to accept any.
        progress: receives the progress of downloads.
        download: whether the address of an archive may be contacted. Otherwise the model is the one in the cache, as it
            is without a network; if there is none, the result only has an `address`.

    Raises:
        SavedModelError: there is no model that TensorFlow Serving can serve.
        UsageError: `sha256` is not a digest, or is given for a directory.
        TfserveError: the cache cannot be used.
    """
    if sha256 is not None:
        check_digest(sha256)
    if not isinstance(source, Url) and not _is_archive_file(source):
        if sha256 is not None:
            raise UsageError(
                f"{str(source)!r} is not an archive, so it has no digest.",
                hint=Wording("Leave {sha256} out."),
                about=("sha256",),
            )
        return find_model(source)
    from tfserve.models.archives import base_path_in, last_download, unpacked_download, unpacked_file

    if isinstance(source, Url) and source.in_bucket:
        raise UsageError(
            f"{source.redacted} is in a bucket, which only a server can read.",
            hint=f"Serve it with tfserve run {source.redacted}, or copy it to this machine first.",
        )
    wanted = None if sha256 is None else sha256.lower()
    listener = progress or Silent()
    if isinstance(source, Url) and not download:
        known = last_download(source, wanted)
        if known is None:
            place = Path(source.shown)
            return ModelDirectory(
                place, Layout.BASE_PATH, (ModelVersion(1, place / "1"),), source.model_name, address=source.shown
            )
        cached = known
    elif isinstance(source, Url):
        cached = unpacked_download(source, wanted, listener)
    else:
        cached = unpacked_file(source.expanduser(), wanted, listener)
    return dataclasses.replace(find_model(base_path_in(cached.path)), default_name=source_name(source))


def _is_archive_file(path: Path) -> bool:
    return is_archive(path) and path.expanduser().is_file()

"""Models in archives, local or downloaded: each archive is unpacked into the cache once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tfserve.errors import Attribute, SavedModelError, UsageError, Wording
from tfserve.models.cache import (
    CachedModel,
    Draft,
    cache_errors,
    cache_root,
    find_cached,
    find_validators,
    save_validators,
)
from tfserve.models.download import UnreachableError, download
from tfserve.models.extract import Limits, Unpacked, unpack
from tfserve.models.saved_model import find_model
from tfserve.models.url import Url
from tfserve.progress import Progress
from tfserve.protos.regular_file import open_regular
from tfserve.text import printable

__all__ = ["base_path_in", "last_download", "unpacked_download", "unpacked_file"]

_CHUNK_BYTES = 2**20
_NAMES_SHOWN = 5


def unpacked_file(archive: Path, sha256: str | None, progress: Progress) -> CachedModel:
    """Returns the model in the file `archive`, unpacking it first if it is not in the cache.

    Args:
        archive: the archive.
        sha256: the expected digest; None to accept any.
        progress: receives the progress.

    Raises:
        SavedModelError: the archive cannot be read, has another digest, or contains no model.
        TfserveError: the cache cannot be used.
    """
    shown = str(archive)
    with _opened(archive, shown) as file:
        with _reading(shown):
            digest = _sha256(file, shown)
        _check_digest(digest, sha256, shown)
        if found := find_cached(digest):
            return found
        with Draft.begin(digest, on_wait=_notice_of_waiting(shown, progress)) as draft, cache_errors(cache_root()):
            if found := find_cached(digest):
                return found
            # The file could be overwritten after this check, also while it is unpacked; its private copy cannot.
            with draft.unnamed_file() as copy:
                if _sha256(file, shown, copy) != digest:
                    raise _changed(shown)
                unpacked = _unpack(copy, draft, shown, progress)
            return draft.publish(digest, source=str(archive.resolve()), size=unpacked.size, files=unpacked.files)


def unpacked_download(url: Url, sha256: str | None, progress: Progress) -> CachedModel:
    """Returns the model in the archive at `url`, downloading it first if it is not in the cache or has changed.

    If `sha256` is in the cache, no request is made. If the server cannot be reached, the last model downloaded from
    `url` is returned.

    Args:
        url: the address of the archive.
        sha256: the expected digest; None to accept any.
        progress: receives the progress.

    Raises:
        SavedModelError: the archive cannot be downloaded, has another digest, or contains no model.
        UsageError: the connection is not encrypted, and there is no digest to check the archive against.
        TfserveError: the cache cannot be used.
    """
    _check_connection(url, sha256)
    if sha256 is not None and (found := find_cached(sha256)):
        return found
    key = _key(url)
    limits = Limits.configured()
    with (
        Draft.begin(key, on_wait=_notice_of_waiting(url.shown, progress)) as draft,
        draft.unnamed_file() as archive,
    ):
        known = find_validators(key) if sha256 is None else None
        last = find_cached(known.digest) if known else None
        try:
            downloaded = download(
                url,
                archive,
                known=known if last else None,
                only_secure=sha256 is None,
                limit=limits.size,
                progress=progress,
            )
        except UnreachableError as error:
            if last is None:
                raise
            progress.notice(
                Wording("{problem} Using the copy of {day:%Y-%m-%d}.", problem=error.wording, day=last.created)
            )
            return last
        if downloaded is None and last is not None:
            return last
        assert downloaded is not None  # noqa: S101 - without validators, the archive is always downloaded
        _check_digest(downloaded.digest, sha256, url.shown)
        with cache_errors(cache_root()):
            model = find_cached(downloaded.digest)
            if model is None:
                unpacked = _unpack(archive, draft, url.shown, progress)
                model = draft.publish(downloaded.digest, source=url.redacted, size=unpacked.size, files=unpacked.files)
            save_validators(key, downloaded)
        return model


def last_download(url: Url, sha256: str | None) -> CachedModel | None:
    """Returns the model in the cache that was last downloaded from `url`; None without one. Nothing is contacted.

    Raises:
        UsageError: as `unpacked_download`.
    """
    _check_connection(url, sha256)
    if sha256 is not None:
        return find_cached(sha256)
    known = find_validators(_key(url))
    return find_cached(known.digest) if known else None


def base_path_in(content: Path) -> Path:
    """Returns the directory in `content` that is the model: itself, or its only sub-directory, and so on."""
    while not any((content / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        directories = [path for path in content.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))]
        if len(directories) != 1 or directories[0].name.isdigit():
            break
        content = directories[0]
    return content


def _check_connection(url: Url, sha256: str | None) -> None:
    """Refuses an archive that the network could replace."""
    if sha256 is None and not url.is_secure:
        raise UsageError(
            f"The connection to {url.shown} is not encrypted: anyone on the network could replace the model.",
            hint=Wording(
                "Use https://, or give the digest of the archive: {digest}", digest=Attribute("sha256", "DIGEST")
            ),
        )


def _key(url: Url) -> str:
    """Identifies an address in the cache without its secrets."""
    return hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()


def _unpack(archive: BinaryIO, draft: Draft, shown: str, progress: Progress) -> Unpacked:
    with progress.copying(f"Unpacking {shown}", os.fstat(archive.fileno()).st_size) as on_progress:
        unpacked = unpack(archive, draft.content, shown=shown, limits=Limits.configured(), on_progress=on_progress)
    try:
        find_model(base_path_in(draft.content))
    except SavedModelError:
        names = sorted(printable(path.name, limit=50) for path in draft.content.iterdir())
        listed = ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")
        raise SavedModelError(
            f"{shown!r} contains no model that TensorFlow Serving can serve, only: {listed or 'nothing'}.",
            hint="An archive needs saved_model.pb, or versions named by numbers, at its root or in one directory.",
        ) from None
    return unpacked


@contextmanager
def _opened(archive: Path, shown: str) -> Iterator[BinaryIO]:
    with _reading(shown):
        file = open_regular(archive)
    with file:
        yield file


@contextmanager
def _reading(shown: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SavedModelError(
            f"{shown!r} cannot be read: {error.strerror}.", hint="Check that you have read permission."
        ) from None


def _sha256(file: BinaryIO, shown: str, copy: BinaryIO | None = None) -> str:
    """Returns the digest of the whole file, and writes what was read to `copy`.

    Raises:
        SavedModelError: the file grows or shrinks meanwhile.
    """
    digest = hashlib.sha256()
    left = os.fstat(file.fileno()).st_size
    file.seek(0)
    while piece := file.read(_CHUNK_BYTES):
        left -= len(piece)
        if left < 0:
            break
        digest.update(piece)
        if copy is not None:
            copy.write(piece)
    if left:
        raise _changed(shown)
    return digest.hexdigest()


def _changed(shown: str) -> SavedModelError:
    return SavedModelError(
        f"{shown!r} changed while it was being read.", hint="Wait until the archive is complete, then try again."
    )


def _check_digest(digest: str, wanted: str | None, shown: str) -> None:
    if wanted is not None and digest != wanted:
        raise SavedModelError(
            f"{shown!r} is not the expected archive: its SHA-256 is {digest}, not {wanted}.",
            hint="Compare the digest with the one its publisher gives; the archive may have been replaced.",
        )


def _notice_of_waiting(shown: str, progress: Progress) -> Callable[[], None]:
    return lambda: progress.notice(f"Waiting for another tfserve command that is unpacking {shown}")

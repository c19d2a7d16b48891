"""Models in archives, on this machine or at an address: each is unpacked into the cache once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from tfserve.errors import Attribute, SavedModelError, UsageError, Wording
from tfserve.models.cache import CachedModel, Draft, cache_errors, cache_root, find_cached, find_origin, note_origin
from tfserve.models.download import UnreachableError, download
from tfserve.models.extract import Limits, Unpacked, unpack
from tfserve.models.saved_model import find_model
from tfserve.models.url import Url
from tfserve.progress import Progress
from tfserve.text import printable

__all__ = ["base_path_in", "unpacked_download", "unpacked_file"]

_CHUNK_BYTES = 2**20
_NAMES_SHOWN = 5


def unpacked_file(archive: Path, sha256: str | None, progress: Progress) -> CachedModel:
    """Returns what is in the file `archive`, unpacking it if the cache does not have it.

    Args:
        archive: the archive.
        sha256: the digest that it has to have; None for any.
        progress: told how far it is.

    Raises:
        SavedModelError: it cannot be read, has another digest, or holds no model.
        TfserveError: the cache cannot be used.
    """
    shown = str(archive)
    try:
        before = _state(archive)
        digest = _sha256(archive)
    except OSError as error:
        raise SavedModelError(
            f"{shown!r} cannot be read: {error.strerror}.", hint="Read permission is needed."
        ) from None
    _check_digest(digest, sha256, shown)
    if found := find_cached(digest):
        return found
    with Draft.begin(digest, on_wait=_waiting(shown, progress)) as draft, cache_errors(cache_root()):
        if found := find_cached(digest):
            return found
        unpacked = _unpack(archive, draft, shown, progress)
        if _state(archive) != before:
            raise SavedModelError(f"{shown!r} changed while it was read.", hint="Wait until it is complete.")
        return draft.publish(digest, source=str(archive.resolve()), size=unpacked.size, files=unpacked.files)


def unpacked_download(url: Url, sha256: str | None, progress: Progress) -> CachedModel:
    """Returns what is in the archive at `url`, downloading it if the cache does not have it, or not as it is now.

    With `sha256` nobody is asked whether it has changed. Where nobody answers, the model of the last time is returned.

    Args:
        url: where the archive is.
        sha256: the digest that it has to have; None for any.
        progress: told how far it is.

    Raises:
        SavedModelError: it cannot be had, has another digest, or holds no model.
        UsageError: anybody on the way could change it.
        TfserveError: the cache cannot be used.
    """
    if sha256 is None and not url.is_safe:
        raise UsageError(
            f"Anybody on the way could change what is read from {url.shown}.",
            hint=Wording(
                "Use https://, or say which archive it has to be: {digest}", digest=Attribute("sha256", "DIGEST")
            ),
        )
    if sha256 is not None and (found := find_cached(sha256)):
        return found
    key = hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()
    limits = Limits.configured()
    with Draft.begin(key, on_wait=_waiting(url.shown, progress)) as draft:
        known = find_origin(key) if sha256 is None else None
        last = find_cached(known.digest) if known else None
        try:
            origin = download(
                url,
                draft.archive,
                known=known if last else None,
                only_safe=sha256 is None,
                limit=limits.size,
                progress=progress,
            )
        except UnreachableError as error:
            if last is None:
                raise
            progress.notice(
                Wording("{problem} Taking what was there on {day:%Y-%m-%d}.", problem=error.wording, day=last.created)
            )
            return last
        if origin is None and last is not None:
            return last
        assert origin is not None  # noqa: S101 - nothing was known that could be unchanged
        _check_digest(origin.digest, sha256, url.shown)
        with cache_errors(cache_root()):
            model = find_cached(origin.digest)
            if model is None:
                unpacked = _unpack(draft.archive, draft, url.shown, progress)
                model = draft.publish(origin.digest, source=url.shown, size=unpacked.size, files=unpacked.files)
            note_origin(key, origin)
        return model


def base_path_in(content: Path) -> Path:
    """The directory of `content` that is the model: itself, or the only one of its directories, and so on."""
    while not any((content / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        directories = [path for path in content.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))]
        if len(directories) != 1 or directories[0].name.isdigit():
            break
        content = directories[0]
    return content


def _unpack(archive: Path, draft: Draft, shown: str, progress: Progress) -> Unpacked:
    with progress.copying(f"Unpacking {shown}", archive.stat().st_size) as on_progress:
        unpacked = unpack(archive, draft.content, shown=shown, limits=Limits.configured(), on_progress=on_progress)
    try:
        find_model(base_path_in(draft.content))
    except SavedModelError:
        names = sorted(printable(path.name, limit=50) for path in draft.content.iterdir())
        listed = ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")
        raise SavedModelError(
            f"{shown!r} holds no model that TensorFlow Serving can serve. In it there is: {listed or 'nothing'}.",
            hint="It has to hold saved_model.pb, or versions named by numbers, at its root or in one directory.",
        ) from None
    return unpacked


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_CHUNK_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _check_digest(digest: str, wanted: str | None, shown: str) -> None:
    if wanted is not None and digest != wanted:
        raise SavedModelError(
            f"{shown!r} is not the archive that was asked for: its SHA-256 is {digest}, not {wanted}.",
            hint="Check the digest with whoever published it; the archive may have been replaced.",
        )


def _waiting(shown: str, progress: Progress) -> Callable[[], None]:
    return lambda: progress.notice(f"Another tfserve is unpacking {shown}; waiting for it.")

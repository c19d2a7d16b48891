"""The cache of unpacked archives: ``$XDG_CACHE_HOME/tfserve/models``, one directory per model, named by digest.

A model appears in the cache complete, by a rename, and is never changed. It is made in a draft directory next to it,
under a lock, so that two processes never make the same model; a draft whose lock is free belongs to a dead process.
A cached model is served without another look at its archive, so nothing here is trusted that another user could have
written; see `tfserve.host.private`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

from tfserve.errors import TfserveError
from tfserve.host.directories import user_directory
from tfserve.host.private import check_private, make_private, read_private, write_private
from tfserve.host.removal import remove_tree
from tfserve.interrupts import interrupts_deferred

__all__ = [
    "CacheValidators",
    "CachedModel",
    "Draft",
    "cache_errors",
    "cache_root",
    "cached_models",
    "find_cached",
    "find_validators",
    "remove",
    "remove_leftovers",
    "remove_stale_validators",
    "save_validators",
]

_RECORD = "model.json"
_CONTENT = "model"
_DRAFT = ".draft-"
_REMOVED = ".removed-"
_LOCK_SUFFIX = ".lock"
_HOME = "XDG_CACHE_HOME"
_CHOOSE = f"export {_HOME}=DIRECTORY"


@dataclass(frozen=True)
class CachedModel:
    """A model that was unpacked from an archive.

    Attributes:
        digest: the SHA-256 of the archive, in hexadecimal digits.
        source: the path or address of the archive, without secrets.
        size: the total size of its files in bytes.
        files: the number of its files.
        created: the time it was unpacked.
        path: the directory with the contents of the archive.
    """

    digest: str
    source: str
    size: int
    files: int
    created: datetime
    path: Path


def cache_root() -> Path:
    """Returns the directory of the cache, which may not exist yet.

    Raises:
        TfserveError: XDG_CACHE_HOME is not set, and the user has no home directory.
        NotPrivateError: another user could change what is there.
    """
    cache = user_directory("cache")
    if cache is None:
        raise TfserveError(
            "The model cannot be unpacked: this user has no home directory for the cache.",
            hint=f"Choose another directory: {_CHOOSE}",
        )
    root = cache / "models"
    with cache_errors(root):
        for directory in (cache, root):
            check_private(directory, _HOME)
    return root


@contextmanager
def cache_errors(root: Path) -> Iterator[None]:
    """Explains errors of the file system of the cache, such as a full disk or a read-only directory."""
    try:
        yield
    except OSError as error:
        raise TfserveError(
            f"The model cache at {str(root)!r} cannot be used: {error.strerror or error}.",
            hint=f"Free some space (tfserve cache clear), or choose another directory: {_CHOOSE}",
        ) from None


def cached_models() -> list[CachedModel]:
    """Returns all models in the cache, oldest first."""
    root = cache_root()
    with cache_errors(root):
        try:
            names = [path.name for path in root.iterdir() if not path.name.startswith(".")]
        except (FileNotFoundError, NotADirectoryError):
            return []
    return sorted((found for name in names if (found := find_cached(name))), key=lambda model: model.created)


def find_cached(digest: str) -> CachedModel | None:
    """Finds the model whose archive has this digest; a model with a damaged record is not found."""
    directory = cache_root() / digest
    with cache_errors(directory):
        check_private(directory / _CONTENT, _HOME)
        try:
            text = read_private(directory / _RECORD, _HOME)
        except (OSError, ValueError):
            return None
    try:
        data = json.loads(text)
        created = datetime.fromisoformat(data["created"])
        found = CachedModel(digest, data["source"], data["size"], data["files"], created, directory / _CONTENT)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.path.is_dir() else None


def remove(digest: str) -> None:
    """Removes a model, in one step for other processes."""
    root = cache_root()
    with cache_errors(root), interrupts_deferred():
        removed = root / f"{_REMOVED}{digest}"
        remove_tree(removed, ignore_errors=True)
        with suppress(FileNotFoundError):
            (root / digest).rename(removed)
            remove_tree(removed)


def remove_leftovers() -> None:
    """Removes incomplete files of processes that were killed."""
    from filelock import FileLock, Timeout

    root = cache_root()
    with cache_errors(root):
        for removed in root.glob(f"{_REMOVED}*"):
            remove_tree(removed, ignore_errors=True)
        for name in {path.name.removesuffix(_LOCK_SUFFIX) for path in root.glob(f"{_DRAFT}*")}:
            lock_file = root / f"{name}{_LOCK_SUFFIX}"
            with suppress(Timeout), FileLock(lock_file, mode=0o600, timeout=0):
                remove_tree(root / name, ignore_errors=True)
                lock_file.unlink(missing_ok=True)


@dataclass(frozen=True)
class Draft:
    """A directory in which one process makes a model for the cache."""

    path: Path

    @contextmanager
    def unnamed_file(self) -> Iterator[BinaryIO]:
        """Opens a temporary file for the archive, which no other process can open, as it has no name."""
        with cache_errors(cache_root()):
            file = tempfile.TemporaryFile(dir=self.path)  # noqa: SIM115 - it is closed below
        with file:
            yield file

    @property
    def content(self) -> Path:
        """The directory for the contents of the archive."""
        return self.path / _CONTENT

    @classmethod
    @contextmanager
    def begin(cls, key: str, *, on_wait: Callable[[], None] = lambda: None) -> Iterator[Draft]:
        """Creates an empty draft, which is removed at the end of the block unless it was published.

        Args:
            key: identifies the model; a second process with the same key waits for the first.
            on_wait: called before it waits for another process.
        """
        from filelock import FileLock, Timeout

        root = cache_root()
        draft = cls(root / f"{_DRAFT}{key}")
        lock_file = root / f"{_DRAFT}{key}{_LOCK_SUFFIX}"
        lock = FileLock(lock_file, mode=0o600)
        with cache_errors(root):
            make_private(root, _HOME)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                on_wait()
                lock.acquire()
        try:
            with cache_errors(root):
                remove_tree(draft.path, ignore_errors=True)  # of a process that was killed
                make_private(draft.path, _HOME)
            yield draft
        finally:
            with interrupts_deferred():
                remove_tree(draft.path, ignore_errors=True)
                lock_file.unlink(missing_ok=True)  # while it is locked; a process that waits creates a new file
                lock.release()

    def publish(self, digest: str, *, source: str, size: int, files: int) -> CachedModel:
        """Moves the unpacked model to its place in the cache, unless the same model is already there.

        Args:
            digest: the digest of the archive.
            source: the path or address of the archive, without secrets.
            size: the total size of the files in bytes.
            files: the number of files.
        """
        created = datetime.now(timezone.utc)
        model = CachedModel(digest, source, size, files, created, cache_root() / digest / _CONTENT)
        data = {"source": source, "size": size, "files": files, "created": created.isoformat()}
        for path in (self.content, *self.content.rglob("*")):  # neither group nor others may change it, under any umask
            path.chmod(path.stat().st_mode & 0o755)
        write_private(self.path / _RECORD, json.dumps(data), _HOME)
        try:
            self.path.rename(model.path.parent)
        except OSError:
            if existing := find_cached(digest):
                return existing
            remove(digest)  # its record is damaged
            self.path.rename(model.path.parent)
        return model


@dataclass(frozen=True)
class CacheValidators:
    """What is known about the archive at an address: its digest, and the validators that the HTTP server sent with it.

    https://www.rfc-editor.org/rfc/rfc9110#name-validator-fields
    """

    digest: str
    etag: str | None
    last_modified: str | None


def find_validators(key: str) -> CacheValidators | None:
    """Finds what is known about an address; `key` is a digest of it, because an address may contain secrets."""
    try:
        with cache_errors(_validators_root()):
            check_private(_validators_root(), _HOME)
        return CacheValidators(**json.loads(read_private(_validators_root() / f"{key}.json", _HOME)))
    except (OSError, ValueError, TypeError):
        return None


def save_validators(key: str, validators: CacheValidators) -> None:
    """Saves what is known about the address with this `key`.

    Raises:
        OSError: the cache cannot be written.
    """
    root = _validators_root()
    make_private(root, _HOME)
    write_private(root / f"{key}.json", json.dumps(asdict(validators)), _HOME)


def remove_stale_validators() -> None:
    """Removes the validators of archives that are no longer in the cache."""
    for path in _validators_root().glob("*.json"):
        validators = find_validators(path.stem)
        if validators is None or find_cached(validators.digest) is None:
            path.unlink(missing_ok=True)


def _validators_root() -> Path:
    return cache_root() / ".urls"

"""The models that came out of archives: ``$XDG_CACHE_HOME/tfserve/models``, one directory each, named by digest.

A directory appears there whole, by being renamed, and is never changed. Whoever makes one works in a draft beside it
and holds a lock in there, so that two never make the same; the draft of a process that died has no holder, and goes.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from tfserve.errors import TfserveError
from tfserve.host.xdg import base_directory
from tfserve.interrupts import interrupts_deferred

__all__ = [
    "CachedModel",
    "Draft",
    "Origin",
    "cache_errors",
    "cache_root",
    "cached_models",
    "find_cached",
    "find_origin",
    "forget_gone",
    "note_origin",
    "remove",
    "remove_leftovers",
]

_RECORD = "model.json"
_CONTENT = "model"
_DRAFT = ".draft-"
_REMOVED = ".removed-"
_LOCK = "lock"
_SET = "export XDG_CACHE_HOME=/another/place"


@dataclass(frozen=True)
class CachedModel:
    """A model that came out of an archive.

    Attributes:
        digest: the SHA-256 of the archive, in hexadecimal digits.
        source: where the archive was, without secrets.
        size: the bytes of all its files.
        files: how many files that are.
        created: when it was unpacked.
        path: the directory that holds what was in the archive.
    """

    digest: str
    source: str
    size: int
    files: int
    created: datetime
    path: Path


def cache_root() -> Path:
    """The directory of all of them.

    Raises:
        TfserveError: it is not said where that is, and this user has no home.
    """
    cache = base_directory("XDG_CACHE_HOME", ".cache")
    if cache is None:
        raise TfserveError("There is no place to unpack a model: this user has no home.", hint=f"Choose one: {_SET}")
    return cache / "tfserve" / "models"


@contextmanager
def cache_errors(root: Path) -> Iterator[None]:
    """Says in a user's words that the cache cannot be used: a full disk, a read-only directory."""
    try:
        yield
    except OSError as error:
        raise TfserveError(
            f"The cache of models at {str(root)!r} cannot be used: {error.strerror or error}.",
            hint=f"Make room there (tfserve cache clear), or choose another place: {_SET}",
        ) from None


def cached_models() -> list[CachedModel]:
    """All models of the cache, oldest first."""
    root = cache_root()
    with cache_errors(root):
        try:
            names = [path.name for path in root.iterdir() if not path.name.startswith(".")]
        except (FileNotFoundError, NotADirectoryError):
            return []
    return sorted((found for name in names if (found := find_cached(name))), key=lambda model: model.created)


def find_cached(digest: str) -> CachedModel | None:
    """Finds the model whose archive has this digest; None as well when somebody damaged its record."""
    directory = cache_root() / digest
    try:
        data = json.loads((directory / _RECORD).read_text(encoding="utf-8"))
        created = datetime.fromisoformat(data["created"])
        found = CachedModel(digest, data["source"], data["size"], data["files"], created, directory / _CONTENT)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.path.is_dir() else None


def remove(digest: str) -> None:
    """Removes a model, at once for whoever looks."""
    root = cache_root()
    with cache_errors(root), interrupts_deferred():
        removed = root / f"{_REMOVED}{digest}"
        shutil.rmtree(removed, ignore_errors=True)
        with suppress(FileNotFoundError):
            (root / digest).rename(removed)
            shutil.rmtree(removed)


def remove_leftovers() -> None:
    """Removes what processes left half-made that died."""
    root = cache_root()
    with cache_errors(root):
        for removed in root.glob(f"{_REMOVED}*"):
            shutil.rmtree(removed, ignore_errors=True)
        for path in root.glob(f"{_DRAFT}*"):
            if (lock := _lock(path, None)) is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)


@dataclass(frozen=True)
class Draft:
    """A directory in which one process makes a model for the cache."""

    path: Path

    @property
    def archive(self) -> Path:
        """Where an archive is downloaded to."""
        return self.path / "archive"

    @property
    def content(self) -> Path:
        """Where the archive is unpacked to."""
        return self.path / _CONTENT

    @classmethod
    @contextmanager
    def begin(cls, key: str, *, on_wait: Callable[[], None] = lambda: None) -> Iterator[Draft]:
        """Makes an empty draft, which is gone at the end unless it was published.

        Args:
            key: what is being made; of two processes with the same one the second waits for the first.
            on_wait: called when it has to wait.
        """
        root = cache_root()
        path = root / f"{_DRAFT}{key}"
        with cache_errors(root):
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = _lock(path, on_wait)
        assert lock is not None  # noqa: S101 - as it waits
        draft = cls(path)
        try:
            with cache_errors(root):  # a process that died may have left something
                draft.archive.unlink(missing_ok=True)
                if draft.content.exists():
                    shutil.rmtree(draft.content)
            yield draft
        finally:
            with interrupts_deferred():
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)

    def publish(self, digest: str, *, source: str, size: int, files: int) -> CachedModel:
        """Moves what was unpacked to its place in the cache; what is there already stays.

        Args:
            digest: of the archive.
            source: where it was, without secrets.
            size: the bytes of all files.
            files: how many there are.
        """
        created = datetime.now(timezone.utc)
        model = CachedModel(digest, source, size, files, created, cache_root() / digest / _CONTENT)
        data = {"source": source, "size": size, "files": files, "created": created.isoformat()}
        self.archive.unlink(missing_ok=True)
        (self.path / _RECORD).write_text(json.dumps(data), encoding="utf-8")
        try:
            self.path.rename(model.path.parent)
        except OSError:
            if there := find_cached(digest):
                return there
            remove(digest)  # somebody damaged it
            self.path.rename(model.path.parent)
        (model.path.parent / _LOCK).unlink(missing_ok=True)
        return model


def _lock(path: Path, on_wait: Callable[[], None] | None) -> int | None:
    """Makes the directory `path`, if need be, and locks it.

    Args:
        path: the directory.
        on_wait: called before it waits for whoever holds the lock; None for not waiting.

    Returns:
        The descriptor that holds the lock; None when somebody else does.
    """
    while True:
        path.mkdir(exist_ok=True)
        try:
            descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # the directory went this moment
            continue
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if on_wait is None:
                    os.close(descriptor)
                    return None
                on_wait()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat((path / _LOCK).stat(), os.fstat(descriptor)):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the process that held it has moved the directory away


@dataclass(frozen=True)
class Origin:
    """What an address gave: the digest of its archive, and the server's names for that state of it."""

    digest: str
    etag: str | None
    last_modified: str | None


def find_origin(key: str) -> Origin | None:
    """What is known of the address with this key, a digest of it: an address may hold secrets."""
    try:
        return Origin(**json.loads((_notes() / f"{key}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def note_origin(key: str, origin: Origin) -> None:
    """Notes what an address gave.

    Raises:
        OSError: the cache cannot be written.
    """
    notes = _notes()
    notes.mkdir(exist_ok=True)
    draft = notes / f".{key}.{os.getpid()}"
    draft.write_text(json.dumps(asdict(origin)), encoding="utf-8")
    draft.replace(notes / f"{key}.json")


def forget_gone() -> None:
    """Removes the notes on addresses whose archives are not in the cache any more."""
    for path in _notes().glob("*.json"):
        origin = find_origin(path.stem)
        if origin is None or find_cached(origin.digest) is None:
            path.unlink(missing_ok=True)


def _notes() -> Path:
    return cache_root() / ".urls"

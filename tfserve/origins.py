"""What addresses gave the last time: notes in the cache, by which an archive is not downloaded again."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from tfserve.model_cache import cache_root, find_cached

__all__ = ["Origin", "find_origin", "forget_gone", "note_origin"]


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

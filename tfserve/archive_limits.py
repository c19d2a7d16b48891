"""How much may come out of an archive: enough for any model, and too little for a bomb to do harm."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tfserve.errors import UsageError

__all__ = ["ENTRIES_VARIABLE", "GIB", "SIZE_VARIABLE", "Limits"]

GIB = 2**30
SIZE_VARIABLE = "TFSERVE_ARCHIVE_MAX_GIB"
ENTRIES_VARIABLE = "TFSERVE_ARCHIVE_MAX_ENTRIES"


@dataclass(frozen=True)
class Limits:
    """How much may come out of an archive.

    Attributes:
        size: bytes of all its files.
        entries: its files and directories.
        ratio: how many times as large as the archive it may be, once there is more than 1 GiB; None for any.
    """

    size: int = 64 * GIB
    entries: int = 100_000
    ratio: int | None = 100

    @classmethod
    def configured(cls) -> Limits:
        """The limits that the environment sets: ``TFSERVE_ARCHIVE_MAX_GIB`` and ``TFSERVE_ARCHIVE_MAX_ENTRIES``.

        Raises:
            UsageError: one of them is not a number.
        """
        gibibytes, entries = _number(SIZE_VARIABLE), _number(ENTRIES_VARIABLE)
        return cls(
            size=cls.size if gibibytes is None else int(gibibytes * GIB),
            entries=cls.entries if entries is None else int(entries),
            ratio=cls.ratio if gibibytes is None else None,  # whoever sets it knows what is in there
        )

    def size_of(self, archive: Path) -> int:
        """How many bytes may come out of `archive`."""
        return self.size if self.ratio is None else min(self.size, max(GIB, self.ratio * archive.stat().st_size))


def _number(variable: str) -> float | None:
    text = os.environ.get(variable)
    if not text:
        return None
    try:
        number = float(text)
        if 0 < number < 2**40:
            return number
    except ValueError:
        pass
    raise UsageError(f"{variable}={text!r} is not a number.", hint=f"Give one above 0, such as {variable}=100000.")

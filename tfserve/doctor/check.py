"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Check", "Status"]

Status = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what it is, in one word with hyphens.
        status: whether it is ready; ``warn`` where serving goes on without it.
        detail: what was seen.
        hint: the next command, or the page to read; None where nothing needs to be done.
    """

    name: str
    status: Status
    detail: str
    hint: str | None = None

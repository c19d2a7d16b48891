"""Somebody who is told what goes on, and remembers it."""

from __future__ import annotations

from tfserve.errors import Wording
from tfserve.progress import Silent

__all__ = ["Told"]


class Told(Silent):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str | Wording) -> None:
        self.notices.append(str(text))

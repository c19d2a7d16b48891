"""A progress listener for tests: it records what a function reports."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from tfserve.errors import Wording
from tfserve.progress import Silent

__all__ = ["RecordedProgress"]


class RecordedProgress(Silent):
    """Records notices, and the names of the copies that begin."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.copies: list[str] = []

    def notice(self, text: str | Wording) -> None:
        self.notices.append(str(text))

    def copying(self, what: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        self.copies.append(what)
        return nullcontext(lambda done: None)

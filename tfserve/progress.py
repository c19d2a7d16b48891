"""The interface through which long operations report their progress."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from tfserve.errors import Wording

__all__ = ["LayerProgress", "Progress", "Silent"]


@dataclass(frozen=True)
class LayerProgress:
    """The progress of one image layer: its status, and how many bytes of how many are done; None if unknown."""

    layer: str
    status: str
    current: int | None
    total: int | None


class Progress(Protocol):
    """Receives notices and progress."""

    def notice(self, text: str | Wording) -> None:
        """Reports something that the user should know, in one line."""
        ...

    def waiting(self) -> AbstractContextManager[Callable[[str], None]]:
        """Starts a wait; its value is a function to call with what is being waited for."""
        ...

    def pulling(self, image: str) -> AbstractContextManager[Callable[[LayerProgress], None]]:
        """Starts a pull; its value is a function to call with each step of each layer."""
        ...

    def pushing(self, image: str) -> AbstractContextManager[Callable[[LayerProgress], None]]:
        """Starts a push, as `pulling`."""
        ...

    def copying(self, what: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """Starts a copy of `total` bytes, None if unknown; its value is a function to call with the bytes done."""
        ...


class Silent:
    """Discards all progress."""

    def notice(self, text: str | Wording) -> None:
        """Discards the notice."""

    def waiting(self) -> AbstractContextManager[Callable[[str], None]]:
        return nullcontext(lambda message: None)

    def pulling(self, image: str) -> AbstractContextManager[Callable[[LayerProgress], None]]:
        return nullcontext(lambda layer: None)

    def pushing(self, image: str) -> AbstractContextManager[Callable[[LayerProgress], None]]:
        return nullcontext(lambda layer: None)

    def copying(self, what: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        return nullcontext(lambda done: None)

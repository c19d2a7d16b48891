"""How long work tells its progress, whoever listens: a terminal, a log, or nobody."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from tfserve.errors import Wording

__all__ = ["LayerProgress", "Progress", "Silent"]


@dataclass(frozen=True)
class LayerProgress:
    """How far one image layer is: what is done with it, and how many bytes of how many; None when it is not known."""

    layer: str
    status: str
    current: int | None
    total: int | None


class Progress(Protocol):
    """Is told what goes on."""

    def notice(self, text: str | Wording) -> None:
        """Something the user should know, in one line."""
        ...

    def waiting(self) -> AbstractContextManager[Callable[[str], None]]:
        """A wait begins; it gives a function that takes what is being waited for, whenever that changes."""
        ...

    def pulling(self, image: str) -> AbstractContextManager[Callable[[LayerProgress], None]]:
        """A pull begins; it gives a function that takes each step of each layer."""
        ...

    def pushing(self, image: str) -> AbstractContextManager[Callable[[LayerProgress], None]]:
        """A push begins; as `pulling`."""
        ...

    def copying(self, what: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """A copy of `total` bytes (None: unknown) begins; it gives a function that takes how many are copied so far."""
        ...


class Silent:
    """Tells nobody."""

    def notice(self, text: str | Wording) -> None:
        """See `Progress.notice`."""

    def waiting(self) -> AbstractContextManager[Callable[[str], None]]:
        """See `Progress.waiting`."""
        return nullcontext(lambda message: None)

    def pulling(self, image: str) -> AbstractContextManager[Callable[[LayerProgress], None]]:
        """See `Progress.pulling`."""
        return nullcontext(lambda layer: None)

    def pushing(self, image: str) -> AbstractContextManager[Callable[[LayerProgress], None]]:
        """See `Progress.pushing`."""
        return nullcontext(lambda layer: None)

    def copying(self, what: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """See `Progress.copying`."""
        return nullcontext(lambda done: None)

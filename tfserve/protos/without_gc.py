"""Keeps garbage from being collected while a document is parsed whose nesting may exceed Python's limit.

At the limit, the destructor of any object that is collected would fail, and Python would print a traceback.
"""

from __future__ import annotations

import gc
from types import TracebackType

__all__ = ["without_gc"]


class without_gc:  # noqa: N801 - it is used like a function
    """A context without garbage collection; a class, because a generator would take a microsecond."""

    __slots__ = ("_enabled",)

    def __enter__(self) -> None:
        self._enabled = gc.isenabled()
        gc.disable()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._enabled:
            gc.enable()

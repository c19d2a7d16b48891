"""Loads what the engines' packages declare; see `tfserve.engines`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from tfserve.defaults import engine_names
from tfserve.engines.kinds import EngineKind
from tfserve.errors import Attribute

if TYPE_CHECKING:
    from tfserve.spec.serve import ServeSpec

__all__ = [
    "automatic_kinds",
    "engine_kind",
    "engine_kinds",
    "engines_for",
    "engines_without_images",
    "starting_together",
]


def engine_kind(name: str) -> EngineKind:
    """The engine of this name, which must be one of `engine_names`."""
    kind: EngineKind = import_module(f"tfserve.engines.{name}").KIND
    return kind


def engine_kinds() -> list[EngineKind]:
    """All engines, in the order of their names."""
    return [engine_kind(name) for name in engine_names()]


def automatic_kinds() -> list[EngineKind]:
    """The engines that ``auto`` tries, in that order."""
    ranked = [(kind.rank, kind.name, kind) for kind in engine_kinds() if kind.rank is not None]
    return [kind for _, _, kind in sorted(ranked, key=lambda entry: entry[:2])]


def engines_for(spec: ServeSpec) -> list[Attribute]:
    """The engines that support `spec`, as the user chooses them."""
    return [Attribute("engine", kind.name) for kind in engine_kinds() if kind.supports(spec)]


def engines_without_images() -> list[Attribute]:
    """The engines that serve without an image, as the user chooses them."""
    return [Attribute("engine", kind.name) for kind in engine_kinds() if not kind.needs_image]


@contextmanager
def starting_together(servers: int) -> Iterator[None]:
    """Prepares every engine to launch this number of servers at the same time, while the block runs."""
    with ExitStack() as stack:
        for kind in engine_kinds():
            stack.enter_context(kind.starting_together(servers))
        yield

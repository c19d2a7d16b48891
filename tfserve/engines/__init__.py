"""The engines, which run launch plans. Every package in this directory is one, and declares itself as its `KIND`.

Nothing outside an engine's package names it: `engine_names` finds the packages, and `tfserve.engines.registry` loads
what they declare.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["engine_names"]


def engine_names() -> tuple[str, ...]:
    """The names of all engines, which are those of their packages; none of them is loaded."""
    return tuple(sorted({file.parent.name for path in __path__ for file in Path(path).glob("*/__init__.py")}))

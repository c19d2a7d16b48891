"""The source files of tfserve, by module name, for tests that read them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["FILES", "ROOT"]

ROOT = Path(__file__).resolve().parent.parent / "tfserve"


def _name_of(file: Path) -> str:
    return ".".join(("tfserve", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


FILES = {_name_of(file): file for file in sorted(ROOT.rglob("*.py"))}

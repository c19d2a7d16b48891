"""Writes the types of the arguments of `tfserve.serve` from the table of fields.

Run ``python -m tests.servers.serve_options`` after a change of the table.
"""

from __future__ import annotations

from pathlib import Path

import tfserve
from tfserve.spec.fields import FIELDS

__all__ = ["FILE", "source"]

FILE = Path(tfserve.__file__).parent / "servers" / "serve_options.py"


def source() -> str:
    """The source of the module."""
    lines = [
        '"""The arguments of `tfserve.serve` as type checkers know them.',
        "",
        "Written by python -m tests.servers.serve_options from the table in `tfserve.spec.fields`; do not edit it.",
        '"""',
        *("", "from __future__ import annotations", "", "import os", "from collections.abc import Mapping, Sequence"),
        *("from typing import Any, Literal, TypedDict", "", '__all__ = ["ServeOptions"]', "", ""),
        *("class ServeOptions(TypedDict, total=False):", '    """Fields of a server; None for the default."""', ""),
        *(f"    {field.attribute}: {field.type.python} | None" for field in FIELDS if field.python),
    ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    FILE.write_text(source(), encoding="utf-8")

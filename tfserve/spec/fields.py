"""How the front ends write the attributes of a spec."""

from __future__ import annotations

from typing import Any

__all__ = ["option_names"]

_OPTIONS = {
    "environment": "--env",
    "examples": "EXAMPLES",
    "inputs": "--input",
    "labels": "--label",
    "models": "MODEL_DIR",
    "remove": "--rm",
    "server_flags": "--",
    "smoke_request": "--smoke-test",
    "values": "VALUES",
    "wait_seconds": "--wait",
}


def option_names(attribute: str, value: Any = None) -> str:
    """Writes attributes as the command line does: ``--rest-port``, ``--rest-port 0``, ``--no-gpu``."""
    name = _OPTIONS.get(attribute) or f"--{attribute.replace('_', '-')}"
    if isinstance(value, bool):
        return name if value else name.replace("--", "--no-", 1)
    return name if value is None else f"{name} {value}"

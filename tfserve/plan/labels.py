"""The labels that identify a server's container and describe an image: the only record of either."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = [
    "BUILT",
    "CONFIG",
    "GPU",
    "MODELS",
    "NAME",
    "PACKAGED",
    "PREFIX",
    "SPEC",
    "VERSION",
    "container_name",
    "removed_at_stop",
    "with_model",
]

PREFIX = "tfserve."
NAME = "tfserve.name"
MODELS = "tfserve.models"
CONFIG = "tfserve.config"  # where the server finds the models.config that tfserve wrote for it
GPU = "tfserve.gpu"
SPEC = "tfserve.spec"
VERSION = "tfserve.version"
BUILT = "tfserve.built"  # on an image that was built from source: its kind
PACKAGED = "tfserve.packaged"  # on an image, and therefore on every container of it


def container_name(server: str) -> str:
    """Returns the name of a server's container. Docker rejects names of one letter, which the prefix makes possible."""
    return f"tfserve-{server}"


def removed_at_stop(spec: str) -> bool:
    """Whether the spec in a label has ``remove``. `tfserve.plan.spec_label` reads all of it, but loads many modules."""
    try:
        return bool(json.loads(spec).get("remove"))
    except (ValueError, AttributeError):
        return False


def with_model(spec: str, name: str, path: Path) -> str:
    """Adds a model to the spec in a label; how it is served is written in the server's ``models.config``."""
    written: dict[str, Any] = json.loads(spec)
    others = [model for model in written.get("models", ()) if model.get("name") != name]
    return json.dumps({**written, "models": [*others, {"name": name, "path": str(path)}]})

"""The labels that identify a server's container and describe an image: the only record of either."""

from __future__ import annotations

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

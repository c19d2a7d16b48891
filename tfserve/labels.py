"""The labels by which a container says which server it is, and an image what it is: the only record of either."""

from __future__ import annotations

__all__ = ["BUILT", "CONFIG", "GPU", "MODELS", "NAME", "PACKAGED", "PREFIX", "SPEC", "VERSION", "container_name"]

PREFIX = "tfserve."
NAME = "tfserve.name"
MODELS = "tfserve.models"
CONFIG = "tfserve.config"  # where the server sees the models.config that tfserve made for it
GPU = "tfserve.gpu"
SPEC = "tfserve.spec"
VERSION = "tfserve.version"
BUILT = "tfserve.built"  # of an image from source: its kind
PACKAGED = "tfserve.packaged"  # of an image, and so also of every container of it


def container_name(server: str) -> str:
    """The name of a server's container; the prefix makes room for servers of one letter, which Docker refuses."""
    return f"tfserve-{server}"

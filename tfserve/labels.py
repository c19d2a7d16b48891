"""The labels by which a container says which server it is; the only record there is of it."""

from __future__ import annotations

__all__ = ["CONFIG", "GPU", "MODELS", "NAME", "SPEC", "VERSION", "container_name"]

NAME = "tfserve.name"
MODELS = "tfserve.models"
CONFIG = "tfserve.config"  # where the server sees the models.config that tfserve made for it
GPU = "tfserve.gpu"
SPEC = "tfserve.spec"
VERSION = "tfserve.version"


def container_name(server: str) -> str:
    """The name of a server's container; the prefix makes room for servers of one letter, which Docker refuses."""
    return f"tfserve-{server}"

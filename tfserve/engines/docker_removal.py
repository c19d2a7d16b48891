"""Removes a container, and with it what was kept for it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfserve.engines.docker_client import explanation
from tfserve.engines.docker_images import remove_nameless
from tfserve.plan import labels

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["remove_container"]


def remove_container(client: APIClient, container: str) -> None:
    """Removes a container that may be gone already, or be going by itself, and what it alone kept of ``package``."""
    import docker.errors

    try:
        data = client.inspect_container(container)
        client.remove_container(container, force=True, v=True)
        if labels.PACKAGED in (data["Config"]["Labels"] or {}):
            remove_nameless(client, data["Image"])
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        if "already in progress" not in explanation(error):
            raise

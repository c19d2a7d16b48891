"""Removes containers, on busy engines too."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tfserve.engines.docker.client import explanation
from tfserve.engines.docker.images import remove_nameless
from tfserve.plan import labels

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["remove_container"]

_PAUSES = (0.1, 0.3, 1.0, 3.0)  # seconds between attempts


def remove_container(client: APIClient, container: str) -> None:
    """Removes a container, and its nameless image from ``tfserve package``; does nothing if it is already gone."""
    import docker.errors

    try:
        data = client.inspect_container(container)
        _remove(client, container)
        if labels.PACKAGED in (data["Config"]["Labels"] or {}):
            remove_nameless(client, data["Image"])
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        if "already in progress" not in explanation(error):
            raise


def _remove(client: APIClient, container: str) -> None:
    """Removes a container. On a busy machine the engine may fail because files appear while it deletes them."""
    import docker.errors

    for pause in (*_PAUSES, None):
        try:
            client.remove_container(container, force=True, v=True)
            return
        except docker.errors.APIError as error:
            if pause is None or "directory not empty" not in explanation(error).lower():
                raise
            time.sleep(pause)

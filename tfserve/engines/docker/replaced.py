"""Containers that are suspended while another one replaces them: they are kept, stopped, under a name of their own.

If a command is killed while it replaces a server, such a container is left behind. It is removed together with the
server, or when the server is replaced again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tfserve.engines.base import Server
from tfserve.engines.conflicts import changed_elsewhere
from tfserve.engines.docker.client import explanation
from tfserve.engines.docker.images import remove_nameless
from tfserve.plan import labels

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["free_name", "is_suspended", "left_suspended", "remove_container", "restore_name"]

_PAUSES = (0.1, 0.3, 1.0, 3.0)  # seconds between attempts to remove a container
_SUFFIX = ".replaced"
_suspended: set[str] = set()  # the containers that this process has suspended


def is_suspended(container_name: str) -> bool:
    """Whether a container's name shows that it is suspended."""
    return container_name.endswith(_SUFFIX)


def free_name(client: APIClient, server: Server) -> None:
    """Renames a server's container, so that another can have its name.

    Raises:
        NameTakenError: another command renames it at the same time.
    """
    container = str(server.container_id)
    suspended = _suspended_of(client, server.name)
    for other in suspended - {container}:
        remove_container(client, other)
    if container not in suspended:
        _rename(client, server, labels.container_name(server.name) + _SUFFIX)
    _suspended.add(container)


def restore_name(client: APIClient, server: Server) -> None:
    """Undoes `free_name`.

    Raises:
        NameTakenError: another container has taken the name.
    """
    _rename(client, server, labels.container_name(server.name))
    _suspended.discard(str(server.container_id))


def left_suspended(client: APIClient, server: Server) -> set[str]:
    """The containers of a removed server that a killed command left suspended; without those to be restored."""
    _suspended.discard(str(server.container_id))
    return _suspended_of(client, server.name) - _suspended


def _suspended_of(client: APIClient, name: str) -> set[str]:
    listed = client.containers(all=True, filters={"label": f"{labels.NAME}={name}"})
    return {data["Id"] for data in listed if data["Names"][0] == f"/{labels.container_name(name)}{_SUFFIX}"}


def _rename(client: APIClient, server: Server, name: str) -> None:
    import docker.errors

    try:
        client.rename(server.container_id, name)
    except docker.errors.APIError as error:
        if any(words in explanation(error) for words in ("already in use", "with the same name")):
            raise changed_elsewhere(server.name) from error
        raise


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

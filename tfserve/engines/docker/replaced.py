"""Containers that are suspended while another one replaces them: they are kept, stopped, under a name of their own.

If a command is killed while it replaces a server, such a container is left behind. It is removed together with the
server, or when the server is replaced again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfserve.engines.base import Server
from tfserve.engines.conflicts import changed_elsewhere
from tfserve.engines.docker.client import explanation
from tfserve.engines.docker.removal import remove_container
from tfserve.plan import labels

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["free_name", "is_suspended", "left_suspended", "restore_name"]

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

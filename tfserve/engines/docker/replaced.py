"""Containers that are set aside while another one takes their place: they stay, stopped, under a name of their own.

A command that is killed in between leaves one behind, which is removed with the server, or when it is replaced again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfserve.engines.base import Server, changed_elsewhere
from tfserve.engines.docker.client import explanation
from tfserve.engines.docker.images import remove_nameless
from tfserve.plan import labels

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["free_name", "give_name_back", "is_aside", "left_aside", "remove_container"]

_ASIDE = ".replaced"
_held: set[str] = set()  # the containers that this process has set aside


def is_aside(container_name: str) -> bool:
    """Whether a container's name says that it was set aside."""
    return container_name.endswith(_ASIDE)


def free_name(client: APIClient, server: Server) -> None:
    """Renames a server's container, so that another can have its name.

    Raises:
        NameTakenError: somebody else does the same at the same time.
    """
    container = str(server.container_id)
    asides = _asides_of(client, server.name)
    for other in asides - {container}:
        remove_container(client, other)
    if container not in asides:
        _rename(client, server, labels.container_name(server.name) + _ASIDE)
    _held.add(container)


def give_name_back(client: APIClient, server: Server) -> None:
    """Undoes `free_name`.

    Raises:
        NameTakenError: another container has the name by now.
    """
    _rename(client, server, labels.container_name(server.name))
    _held.discard(str(server.container_id))


def left_aside(client: APIClient, server: Server) -> set[str]:
    """The containers that a killed command left aside of a server, which is removed; not one that is to come back."""
    _held.discard(str(server.container_id))
    return _asides_of(client, server.name) - _held


def _asides_of(client: APIClient, name: str) -> set[str]:
    there = client.containers(all=True, filters={"label": f"{labels.NAME}={name}"})
    return {data["Id"] for data in there if data["Names"][0] == f"/{labels.container_name(name)}{_ASIDE}"}


def _rename(client: APIClient, server: Server, name: str) -> None:
    import docker.errors

    try:
        client.rename(server.container_id, name)
    except docker.errors.APIError as error:
        if any(words in explanation(error) for words in ("already in use", "with the same name")):
            raise changed_elsewhere(server.name) from error
        raise


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

"""Errors that every engine reports in the same words: taken names and ports, and servers that exit immediately."""

from __future__ import annotations

from collections.abc import Sequence

from tfserve.errors import Attribute, NameTakenError, NotReadyError, PortTakenError, Wording

__all__ = ["changed_elsewhere", "exited_and_removed", "name_taken", "port_taken"]


def name_taken(name: str) -> NameTakenError:
    """The error for a name that another server has."""
    return NameTakenError(
        f"The name {name!r} is taken by another server.",
        hint=Wording(
            "Choose another {attribute}, replace the server with {replace}, or remove it: tfserve rm {server}",
            attribute=Attribute("name"),
            server=name,
        ),
    )


def changed_elsewhere(name: str) -> NameTakenError:
    """The error for a name that another command takes or frees at the same time."""
    return NameTakenError(
        f"Another tfserve command is changing the server {name!r} at the same time.",
        hint="Run this command again when it has finished; tfserve ps shows the server.",
    )


def exited_and_removed(name: str) -> NotReadyError:
    """The error for a server with ``--rm`` that has exited before its state could be read."""
    return NotReadyError(
        f"{name!r} exited immediately and was removed (`--rm`).",
        hint=Wording("Start it without {remove} to see its log."),
    )


def port_taken(
    number: int | None = None,
    host: str = "",
    *,
    attributes: Sequence[str] = ("rest_port", "grpc_port"),
    server: str | None = None,
    details: str | None = None,
) -> PortTakenError:
    """The error for a port that another program listens on.

    Args:
        number: the port; None if it is not known which of the server's ports is taken.
        host: the address that the port is published on.
        attributes: the attributes of a spec that can name another port.
        server: the name of a server that exists already, so that its ports cannot be changed; None for a new one.
        details: what the engine or the server reported.
    """
    if server is None:
        hint: str | Wording = Wording(
            "Choose another {attributes}; 0 takes any free port.",
            attributes=Wording(" or ".join(f"{{{name}}}" for name in attributes)),
        )
    else:
        hint = f"Stop that program, or remove the server and create it again on another port: tfserve rm {server}"
    return PortTakenError(
        "A port of the server is taken by another program."
        if number is None
        else f"Port {number} on {host} is taken by another program.",
        hint=hint,
        details=details,
        about=attributes[:1] if len(attributes) == 1 else (),
    )

"""Which ports of the host a server gets: those asked for, or free ones."""

from __future__ import annotations

from collections.abc import Collection

from tfserve.defaults import GRPC_PORT, REST_PORT
from tfserve.engines.base import Engine
from tfserve.errors import Attribute, PortTakenError, UsageError, Wording
from tfserve.host import ports
from tfserve.plan.launch_plan import HostPorts
from tfserve.progress import Progress
from tfserve.spec.serve import PortRequest, ServeSpec

__all__ = ["choose_port", "choose_ports", "ports_asked"]


def choose_ports(
    spec: ServeSpec, engine: Engine | None, taken: set[int], progress: Progress, own: Collection[int] = ()
) -> HostPorts:
    """Decides on the host ports of REST and gRPC for a server of `engine`; None is a Docker Engine of this machine.

    Those in `own` are free, or will be.
    """
    shared = engine is None or engine.shares_ports
    _check_host(spec, shared)
    rest_port = choose_port("REST", spec.rest_port, spec.host, shared, taken, progress, own)
    others = taken | ({rest_port} if rest_port else set())
    return HostPorts(rest_port, choose_port("gRPC", spec.grpc_port, spec.host, shared, others, progress, own))


def ports_asked(spec: ServeSpec, engine: Engine, own: Collection[int]) -> HostPorts:
    """The ports that `spec` asks for, of which those asked for by number can be had; see `choose_ports`."""
    _check_host(spec, engine.shares_ports)
    for api, request in (("REST", spec.rest_port), ("gRPC", spec.grpc_port)):
        number = request.number
        known = engine.shares_ports and request.explicit and number not in own
        if number and known and not ports.is_free(spec.host, number):
            raise _port_taken(api, number, spec.host)
    return HostPorts(spec.rest_port.number, spec.grpc_port.number)


def _check_host(spec: ServeSpec, shared: bool) -> None:
    if shared and not ports.is_local(spec.host):
        raise UsageError(
            f"{spec.host} is not an address of this machine.",
            hint="Publish on 127.0.0.1 for this machine alone, or on 0.0.0.0 for every network.",
            about=("host",),
        )


def choose_port(
    api: str,
    request: PortRequest,
    host: str,
    shared: bool,
    taken: set[int],
    progress: Progress,
    own: Collection[int] = (),
) -> int | None:
    """Decides on the host port of one API; `shared` says whether it is one of this machine."""
    number = request.number
    if number is None:
        return None
    if number and number not in taken and (number in own or _can_have(number, request, host, shared)):
        return number
    if number and request.explicit:
        raise _port_taken(api, number, host)
    free = _any_free_port(host, taken) if shared else 0
    if number:
        progress.notice(f"Port {number} is taken; {api} is on {free or 'another one'}.")
    return free


def _any_free_port(host: str, taken: set[int]) -> int:
    """A free port of this server's own: the system may well name the one it has just named to another."""
    while True:
        port = ports.any_free_port(host)
        if port == 0 or (port not in taken and ports.claim(port)):
            return port


def _port_taken(api: str, number: int, host: str) -> PortTakenError:
    return PortTakenError(
        f"Port {number} on {host} is taken by another program.",
        hint=Wording("Choose another {attribute}; 0 takes any free one.", attribute=Attribute(f"{api.lower()}_port")),
        doctor=number in (GRPC_PORT, REST_PORT),
        about=(f"{api.lower()}_port",),
    )


def _can_have(number: int, request: PortRequest, host: str, shared: bool) -> bool:
    """Whether a port is free; a default one also of the other servers that this process is starting."""
    if not request.explicit and not ports.claim(number):
        return False
    free = not shared or ports.is_free(host, number)
    if not free and not request.explicit:
        ports.release([number])
    return free

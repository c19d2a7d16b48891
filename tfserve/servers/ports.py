"""Chooses the host ports of a server: those that were requested, or free ones."""

from __future__ import annotations

from collections.abc import Collection
from types import TracebackType

from tfserve.defaults import GRPC_PORT, REST_PORT, Api
from tfserve.engines.conflicts import port_taken
from tfserve.errors import PortTakenError, UsageError
from tfserve.host import ports
from tfserve.plan.launch_plan import HostPorts
from tfserve.progress import Progress
from tfserve.spec.port_request import PortRequest
from tfserve.spec.serve import ServeSpec

__all__ = ["PortChooser", "requested_ports"]

_TITLES: dict[Api, str] = {"rest": "REST", "grpc": "gRPC"}


class PortChooser:
    """Chooses host ports for one server. Inside the block, no other chooser of this process chooses the same ports.

    Args:
        host: the address to publish on.
        shared: whether that is an address of this machine, so that its own ports show which are free.
        progress: reports a default port that is taken.
        own: ports that are free or will be: those of the server that is replaced.

    Raises:
        UsageError: `host` is not an address of this machine, and should be.
    """

    def __init__(self, host: str, *, shared: bool, progress: Progress, own: Collection[int] = ()) -> None:
        _check_host(host, shared)
        self._host = host
        self._shared = shared
        self._progress = progress
        self._own = own
        self._rejected: set[int] = set()
        self._claimed: set[int] = set()

    def __enter__(self) -> PortChooser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        ports.release(self._claimed)

    def choose(self, spec: ServeSpec) -> HostPorts:
        """Chooses the ports of both APIs.

        Raises:
            PortTakenError: a port was requested by its number and is taken.
        """
        rest = self.choose_one("rest", spec.rest_port)
        return HostPorts(rest, self.choose_one("grpc", spec.grpc_port, beside=rest))

    def choose_one(self, api: Api, request: PortRequest, *, beside: int | None = None) -> int | None:
        """Chooses the port of one API.

        Args:
            api: the API.
            request: the requested port.
            beside: the port of the other API, which this one cannot have.

        Returns:
            The port; None if `request` is for no port, 0 if the engine is to choose it.

        Raises:
            PortTakenError: the port was requested by its number and is taken.
        """
        number, excluded = request.number, self._rejected | ({beside} if beside else set())
        if number is None:
            return None
        if number and number not in excluded and (number in self._own or self._is_available(number, request)):
            return number
        if number and request.explicit:
            raise _port_taken(api, number, self._host)
        free = self._any_free_port(excluded) if self._shared else 0
        if number:
            self._progress.notice(f"Port {number} is taken; {_TITLES[api]} uses {free or 'another one'}.")
        return free

    def reject(self, chosen: HostPorts) -> None:
        """Excludes ports that turned out to be taken from the next choice."""
        self._rejected.update(port for port in (chosen.rest, chosen.grpc) if port)

    def _any_free_port(self, excluded: set[int]) -> int:
        """A free port that no other server of this process has; the system may name the same one twice."""
        while True:
            port = ports.any_free_port(self._host)
            if port == 0 or (port not in excluded and self._claim(port)):
                return port

    def _is_available(self, number: int, request: PortRequest) -> bool:
        """Whether a port is free. A default port must also be free of the other servers that this process starts."""
        if not request.explicit and not self._claim(number):
            return False
        free = not self._shared or ports.is_free(self._host, number)
        if not free and not request.explicit:
            ports.release([number])
            self._claimed.discard(number)
        return free

    def _claim(self, port: int) -> bool:
        claimed = ports.claim(port)
        if claimed:
            self._claimed.add(port)
        return claimed


def requested_ports(spec: ServeSpec, *, shared: bool, own: Collection[int]) -> HostPorts:
    """The ports as `spec` requests them, to plan the server that replaces one with the ports `own`.

    Raises:
        UsageError: the host of `spec` is not an address of this machine, and should be.
        PortTakenError: a port was requested by its number and is taken by another program.
    """
    _check_host(spec.host, shared)
    requests: dict[Api, PortRequest] = {"rest": spec.rest_port, "grpc": spec.grpc_port}
    for api, request in requests.items():
        number = request.number
        checked = shared and request.explicit and number not in own
        if number and checked and not ports.is_free(spec.host, number):
            raise _port_taken(api, number, spec.host)
    return HostPorts(spec.rest_port.number, spec.grpc_port.number)


def _port_taken(api: Api, number: int, host: str) -> PortTakenError:
    error = port_taken(number, host, attributes=(f"{api}_port",))
    error.doctor = number in (GRPC_PORT, REST_PORT)
    return error


def _check_host(host: str, shared: bool) -> None:
    if shared and not ports.is_local(host):
        raise UsageError(
            f"{host} is not an address of this machine.",
            hint="Publish on 127.0.0.1 for this machine only, or on 0.0.0.0 for every network.",
            about=("host",),
        )

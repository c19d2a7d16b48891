"""Replaces a server with a new one of the same name, and restores it if the new one fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tfserve.defaults import STOP_SECONDS
from tfserve.engines.base import Server
from tfserve.errors import NameTakenError, TfserveError, Wording
from tfserve.interrupts import interrupts_deferred
from tfserve.progress import Progress
from tfserve.servers.lookup import list_servers

__all__ = ["own_ports", "place_of", "servers_named"]


def servers_named(name: str) -> list[Server]:
    """The servers of that name, on any engine."""
    return [server for server in list_servers().servers if server.name == name]


def own_ports(servers: Sequence[Server]) -> frozenset[int]:
    """The host ports of these servers, which become free when they are suspended."""
    addresses = [address for server in servers for address in (server.rest_url, server.grpc_address) if address]
    return frozenset(int(address.rpartition(":")[2]) for address in addresses)


@contextmanager
def place_of(servers: Sequence[Server], progress: Progress) -> Iterator[None]:
    """Suspends servers for the block. Afterwards they are removed or, if it fails, restored."""
    suspended: list[tuple[Server, Server]] = []
    try:
        for server in servers:
            with interrupts_deferred():
                if left := server.suspend(grace=STOP_SECONDS):
                    suspended.append((left, server))
        yield
    except BaseException:
        with interrupts_deferred():
            for left, server in suspended:
                _restore(left, server, progress)
        raise
    with interrupts_deferred():
        for left, server in suspended:
            _remove(left, server, progress)


def _remove(suspended: Server, server: Server, progress: Progress) -> None:
    try:
        suspended.remove()
    except TfserveError as error:  # the new server works all the same
        progress.notice(f"The previous server was not removed completely. To remove the rest: tfserve rm {server.name}")
        progress.notice(error.wording)


def _restore(suspended: Server, server: Server, progress: Progress) -> None:
    try:
        suspended.restore(server)
    except NameTakenError:  # another command has started a new server of this name
        return
    except TfserveError as error:
        progress.notice(Wording("The previous server could not be restored: {problem}", problem=error.wording))
    else:
        if server.running:
            progress.notice("The previous server was started again.")

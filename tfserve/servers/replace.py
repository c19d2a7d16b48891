"""Puts a new server in the place of one of the same name: which comes back when its successor fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tfserve.defaults import STOP_SECONDS
from tfserve.engines.base import Engine, Server
from tfserve.errors import NameTakenError, TfserveError, Wording
from tfserve.interrupts import interrupts_deferred
from tfserve.progress import Progress
from tfserve.servers.lookup import Found, list_servers

__all__ = ["own_ports", "place_of", "servers_named"]


def servers_named(name: str) -> list[Found]:
    """The servers of that name, on whatever engines."""
    return [pair for pair in list_servers().found if pair[1].name == name]


def own_ports(servers: Sequence[Found]) -> frozenset[int]:
    """The host ports that these servers have, which are free as soon as they are set aside."""
    addresses = [address for _, server in servers for address in (server.rest_url, server.grpc_address) if address]
    return frozenset(int(address.rpartition(":")[2]) for address in addresses)


@contextmanager
def place_of(servers: Sequence[Found], progress: Progress) -> Iterator[None]:
    """Sets servers aside for the block: afterwards they are removed or, when it fails, as they were before."""
    asides: list[tuple[Engine, Server, Server]] = []
    try:
        for engine, server in servers:
            with interrupts_deferred():
                if aside := engine.set_aside(server, grace=STOP_SECONDS):
                    asides.append((engine, aside, server))
        yield
    except BaseException:
        with interrupts_deferred():
            for engine, aside, server in asides:
                _bring_back(engine, aside, server, progress)
        raise
    with interrupts_deferred():
        for engine, aside, server in asides:
            _remove(engine, aside, server, progress)


def _remove(engine: Engine, aside: Server, server: Server, progress: Progress) -> None:
    try:
        engine.remove(aside)
    except TfserveError as error:  # its successor serves all the same
        progress.notice(f"What is left of the server that was there before goes with: tfserve rm {server.name}")
        progress.notice(error.wording)


def _bring_back(engine: Engine, aside: Server, server: Server, progress: Progress) -> None:
    try:
        engine.bring_back(aside, server)
    except NameTakenError:  # it has a successor after all: that of another command
        return
    except TfserveError as error:
        progress.notice(
            Wording("The server that was there before could not be brought back: {problem}", problem=error.wording)
        )
    else:
        if server.running:
            progress.notice("The server that was there before is started again.")

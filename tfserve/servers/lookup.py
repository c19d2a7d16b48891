"""Which engines there are, and on which of them a server is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tfserve.defaults import EngineChoice
from tfserve.engines.base import Engine, Server
from tfserve.engines.docker.client import connect, is_configured
from tfserve.engines.local.engine import LocalEngine
from tfserve.errors import EngineUnavailableError, NoSuchServerError, UsageError
from tfserve.text import did_you_mean

__all__ = ["Found", "Listing", "find_server", "find_servers", "list_servers"]

Found = tuple[Engine, Server]


@dataclass(frozen=True)
class Listing:
    """The servers there are, with the engine of each, oldest first; and why an engine could not be asked, if so."""

    found: tuple[Found, ...]
    unavailable: EngineUnavailableError | None = None


def list_servers(choice: EngineChoice = "auto") -> Listing:
    """Lists the servers of all engines.

    Raises:
        EngineUnavailableError: the engine asked for by name does not answer; with ``auto`` it is passed over.
    """
    found: list[Found] = []
    unavailable = None
    for connect_to in _engines(choice):
        try:
            engine = connect_to()
            found += [(engine, server) for server in engine.servers()]
        except EngineUnavailableError as error:
            if choice != "auto":
                raise
            unavailable = error
    return Listing(tuple(sorted(found, key=lambda pair: pair[1].created)), unavailable)


def _engines(choice: EngineChoice) -> list[Callable[[], Engine]]:
    """How to get to the engines to look on; with ``auto``, to Docker only where there may be one."""
    with_docker = choice == "docker" or (choice == "auto" and is_configured())
    return ([_docker_engine] if with_docker else []) + ([LocalEngine] if choice != "docker" else [])


def _docker_engine() -> Engine:
    from tfserve.engines.docker.engine import DockerEngine

    return DockerEngine(connect())


def find_server(
    name: str | None,
    choice: EngineChoice = "auto",
    *,
    by_model: bool = False,
    among: Callable[[Server], bool] = lambda server: True,
) -> Found:
    """Finds a server by name, or the only one there is.

    Args:
        name: its name; None for the only one.
        choice: where to look.
        by_model: whether the name of a model will do, when no server has that name.
        among: which servers come into question when no name is given.

    Raises:
        NoSuchServerError: there is none.
        UsageError: there are several.
    """
    return _pick(list_servers(choice), name, by_model=by_model, among=among)


def find_servers(
    names: Sequence[str] | None, choice: EngineChoice = "auto", *, among: Callable[[Server], bool] = lambda server: True
) -> list[Found]:
    """Finds several servers by name, each once, or the only one there is; as `find_server`."""
    servers = list_servers(choice)
    wanted: list[str | None] = [*dict.fromkeys(names)] if names else [None]
    return [_pick(servers, name, by_model=False, among=among) for name in wanted]


def _pick(servers: Listing, name: str | None, *, by_model: bool, among: Callable[[Server], bool]) -> Found:
    if name is None:
        candidates = [pair for pair in servers.found if among(pair[1])]
    else:
        candidates = [pair for pair in servers.found if pair[1].name == name]
        if not candidates and by_model:
            candidates = [pair for pair in servers.found if pair[1].running and name in pair[1].models]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        listed = ", ".join(f"{server.name} ({engine.name})" for engine, server in candidates)
        if len({server.name for _, server in candidates}) == 1:
            raise UsageError(f"The name {name!r} is that of several servers: {listed}.", hint="Add --engine.")
        raise UsageError(f"There are several servers: {listed}.", hint="Name one of them.")
    models = [model for _, server in servers.found if server.running for model in server.models] if by_model else []
    error = no_such_server(name, [server.name for _, server in servers.found], models)
    if servers.unavailable is not None:
        error.add_hint(f" Docker was not asked: {servers.unavailable.message}")
    raise error


def no_such_server(name: str | None, existing: list[str], models: Sequence[str] = ()) -> NoSuchServerError:
    """The error for a server that is not there, with the nearest name that is; the names of `models` would do, too."""
    if name is None:
        what = "No server is in question" if existing else "There is no server"
        hint = f"There is: {', '.join(existing)}." if existing else "Start one: tfserve run MODEL_DIR"
        return NoSuchServerError(f"{what}.", hint=hint)
    hint = did_you_mean(name, [*existing, *models]) or "tfserve ps lists the servers there are."
    return NoSuchServerError(f"There is no server {name!r}.", hint=hint)

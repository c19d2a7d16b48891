"""Which engines there are, and on which of them a server is."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from tfserve.defaults import EngineChoice
from tfserve.engines.base import Engine, Server
from tfserve.engines.docker_client import connect, is_configured
from tfserve.engines.local import LocalEngine
from tfserve.errors import EngineUnavailableError, NoSuchServerError, UsageError

__all__ = ["Found", "all_servers", "find_server", "find_servers"]

Found = tuple[Engine, Server]


def docker_engine() -> Engine:
    """Connects to Docker.

    Raises:
        EngineUnavailableError: it does not answer.
    """
    from tfserve.engines.docker import DockerEngine

    return DockerEngine(connect())


def engines(choice: EngineChoice) -> list[Engine]:
    """The engines that servers are looked for on; with ``auto``, Docker only when it answers.

    Raises:
        EngineUnavailableError: Docker was asked for by name and does not answer.
    """
    found: list[Engine] = []
    if choice == "docker" or (choice == "auto" and is_configured()):
        try:
            found.append(docker_engine())
        except EngineUnavailableError:
            if choice == "docker":
                raise
    if choice in ("auto", "local"):
        found.append(LocalEngine())
    return found


def all_servers(choice: EngineChoice = "auto") -> list[Found]:
    """Lists the servers of all engines, with the engine of each, oldest first.

    Raises:
        EngineUnavailableError: the engine asked for by name does not answer; with ``auto`` it is passed over.
    """
    found: list[Found] = []
    for engine in engines(choice):
        try:
            found += [(engine, server) for server in engine.servers()]
        except EngineUnavailableError:
            if choice != "auto":
                raise
    return sorted(found, key=lambda pair: pair[1].created)


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
    return _pick(all_servers(choice), name, by_model=by_model, among=among)


def find_servers(
    names: Sequence[str] | None, choice: EngineChoice = "auto", *, among: Callable[[Server], bool] = lambda server: True
) -> list[Found]:
    """Finds several servers by name, each once, or the only one there is; as `find_server`."""
    servers = all_servers(choice)
    wanted: list[str | None] = [*dict.fromkeys(names)] if names else [None]
    return [_pick(servers, name, by_model=False, among=among) for name in wanted]


def _pick(servers: list[Found], name: str | None, *, by_model: bool, among: Callable[[Server], bool]) -> Found:
    if name is None:
        candidates = [pair for pair in servers if among(pair[1])]
    else:
        candidates = [pair for pair in servers if pair[1].name == name]
        if not candidates and by_model:
            candidates = [pair for pair in servers if pair[1].running and name in pair[1].models]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        listed = ", ".join(f"{server.name} ({engine.name})" for engine, server in candidates)
        if len({server.name for _, server in candidates}) == 1:
            raise UsageError(f"The name {name!r} is that of several servers: {listed}.", hint="Add --engine.")
        raise UsageError(f"There are several servers: {listed}.", hint="Name one of them.")
    raise no_such_server(name, [server.name for _, server in servers])


def no_such_server(name: str | None, existing: list[str]) -> NoSuchServerError:
    """The error for a server that is not there, with the nearest name that is."""
    if name is None:
        what = "No server is in question" if existing else "There is no server"
        hint = f"There is: {', '.join(existing)}." if existing else "Start one: tfserve run MODEL_DIR"
        return NoSuchServerError(f"{what}.", hint=hint)
    near = difflib.get_close_matches(name, existing, n=1)
    hint = f"Did you mean {near[0]}?" if near else "tfserve ps lists the servers there are."
    return NoSuchServerError(f"There is no server {name!r}.", hint=hint)

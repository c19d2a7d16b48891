"""Lists the servers of all engines, and finds one by its name or by the name of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tfserve.defaults import AUTO, EngineChoice
from tfserve.engines.base import Server
from tfserve.engines.registry import engine_kind, engine_kinds
from tfserve.errors import EngineUnavailableError, NoSuchServerError, NotPrivateError, TfserveError, UsageError, Wording
from tfserve.text import did_you_mean

__all__ = ["Listing", "check_running", "find_server", "find_servers", "list_servers"]


@dataclass(frozen=True)
class Listing:
    """The servers of all engines, oldest first; and the errors of engines that were not available, by their titles."""

    servers: tuple[Server, ...]
    unavailable: Mapping[str, TfserveError] = field(default_factory=dict)

    def refuse_incomplete(self) -> None:
        """Raises the error of an engine whose servers are not listed because another user could have changed them."""
        for error in self.unavailable.values():
            if isinstance(error, NotPrivateError):
                raise error


def list_servers(choice: EngineChoice = AUTO) -> Listing:
    """Lists the servers of all engines, or of one.

    Raises:
        EngineUnavailableError: the engine that was chosen by name does not answer; with ``auto`` it is skipped.
        NotPrivateError: another user could have changed its servers; with ``auto`` it is skipped.
    """
    if choice != AUTO:
        return Listing(tuple(engine_kind(choice).connect().servers()))
    found: list[Server] = []
    unavailable: dict[str, TfserveError] = {}
    for kind in engine_kinds():
        if kind.is_configured():
            try:
                found += kind.connect().servers()
            except (EngineUnavailableError, NotPrivateError) as error:
                unavailable[kind.title] = error
    return Listing(tuple(sorted(found, key=lambda server: server.created)), unavailable)


def find_server(
    name: str | None,
    choice: EngineChoice = AUTO,
    *,
    by_model: bool = False,
    among: Callable[[Server], bool] = lambda server: True,
) -> Server:
    """Finds a server by name, or the only one.

    Args:
        name: its name; None for the only server.
        choice: the engine to search.
        by_model: whether `name` may also be the name of a model, if no server has that name.
        among: which servers to consider if no name is given.

    Raises:
        NoSuchServerError: there is none.
        UsageError: there are several.
    """
    return _pick(list_servers(choice), name, by_model=by_model, among=among)


def find_servers(
    names: Sequence[str] | None, choice: EngineChoice = AUTO, *, among: Callable[[Server], bool] = lambda server: True
) -> list[Server]:
    """Finds several servers by name, each once, or the only one; as `find_server`."""
    listing = list_servers(choice)
    wanted: list[str | None] = [*dict.fromkeys(names)] if names else [None]
    return [_pick(listing, name, by_model=False, among=among) for name in wanted]


def check_running(server: Server) -> None:
    """Checks that a server is not stopped.

    Raises:
        NoSuchServerError: it is stopped.
    """
    if not server.running:
        raise NoSuchServerError(f"{server.name!r} is stopped.", hint=f"Start it: tfserve start {server.name}")


def _pick(listing: Listing, name: str | None, *, by_model: bool, among: Callable[[Server], bool]) -> Server:
    if name is None:
        candidates = [server for server in listing.servers if among(server)]
    else:
        candidates = [server for server in listing.servers if server.name == name]
        if not candidates and by_model:
            candidates = [server for server in listing.servers if server.running and name in server.models]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        listed = ", ".join(f"{server.name} ({server.engine.name})" for server in candidates)
        if len({server.name for server in candidates}) == 1:
            raise UsageError(
                f"More than one server is named {name!r}: {listed}.", hint=Wording("Choose one with {engine}.")
            )
        raise UsageError(f"There are several servers: {listed}.", hint="Name one of them.")
    listing.refuse_incomplete()
    models = [model for server in listing.servers if server.running for model in server.models] if by_model else []
    error = _no_such_server(name, [server.name for server in listing.servers], models)
    for title, unavailable in listing.unavailable.items():
        error.add_hint(Wording(" {title} was not searched: {problem}", title=title, problem=unavailable.wording))
    raise error


def _no_such_server(name: str | None, existing: list[str], models: Sequence[str] = ()) -> NoSuchServerError:
    """The error for a server that does not exist, with the nearest name of `existing` servers or of `models`."""
    if name is None:
        what = "No server matches" if existing else "There is no server"
        hint = f"Servers: {', '.join(existing)}." if existing else "Start one: tfserve run MODEL_DIR"
        return NoSuchServerError(f"{what}.", hint=hint)
    hint = did_you_mean(name, [*existing, *models]) or "tfserve ps lists the servers."
    return NoSuchServerError(f"There is no server {name!r}.", hint=hint)

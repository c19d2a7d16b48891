"""``tfserve ps`` and ``tfserve status``: list servers, and show the state of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfserve.cli.options import AnyEngineOption, JsonOption, OptionalName
from tfserve.cli.output import Output

if TYPE_CHECKING:
    from tfserve.engines.base import Server

__all__ = ["ps", "status"]


def ps(*, engine: AnyEngineOption = "auto", json: JsonOption = False) -> None:
    """List the servers, running and stopped."""
    from tfserve.servers.lookup import list_servers
    from tfserve.servers.status import server_statuses

    output = Output(json_wanted=json)
    listing = list_servers(engine)
    for title, error in listing.unavailable.items():
        output.notice(f"{title} was not used. {error.message}")
    statuses = server_statuses(listing.servers)
    if json:
        output.result([status.to_json() for status in statuses], "")
    elif not statuses:
        output.text("There is no server. Start one: tfserve run MODEL_DIR")
    else:
        rows = [
            (
                status.server.name,
                status.server.engine.name,
                status.server.state,
                status.health,
                " ".join(status.server.models),
                status.server.rest_url or "-",
                status.server.grpc_address or "-",
            )
            for status in statuses
        ]
        output.table(("NAME", "ENGINE", "STATE", "HEALTH", "MODELS", "REST", "GRPC"), rows)


def status(name: OptionalName = None, *, engine: AnyEngineOption = "auto", json: JsonOption = False) -> None:
    """Show the state of one server. Includes its addresses and the versions of its models."""
    from tfserve.servers.lookup import find_server
    from tfserve.servers.status import server_status
    from tfserve.text import rfc3339

    output = Output(json_wanted=json)
    found = server_status(find_server(name, engine))
    server = found.server
    how = f"exit code {server.exit.code}" if server.exit and server.exit.code is not None else found.health
    lines = [
        f"{server.name}: {server.state}, {how}",
        f"  engine   {server.engine.name}",
        f"  image    {server.image}" if server.image else f"  pid      {server.pid or '-'}",
        *([f"  waived   {', '.join(waived)}"] if (waived := _waived(server)) else ()),
        f"  created  {rfc3339(server.created)}",
        f"  REST     {server.rest_url or '-'}",
        f"  gRPC     {server.grpc_address or '-'}",
        *(
            f"  model    {model}: " + (", ".join(f"version {number} {state}" for number, state in versions) or "-")
            for model, versions in found.versions.items()
        ),
    ]
    output.result(found.to_json(), lines)


def _waived(server: Server) -> list[str]:
    """The options of a server that waive a protection of this machine."""
    return [] if server.spec is None else server.spec.process_options()

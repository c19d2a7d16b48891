"""``tfserve stop``, ``start``, ``restart`` and ``rm``: control servers after their first start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tfserve.cli.options import AnyEngineOption, JsonOption, OptionalNames, TimeOption, WaitOption
from tfserve.cli.output import Output
from tfserve.defaults import STOP_SECONDS, WAIT_SECONDS
from tfserve.errors import UsageError

if TYPE_CHECKING:
    from tfserve.engines.base import Server

__all__ = ["remove", "restart", "start", "stop"]


def stop(
    names: OptionalNames = None,
    *,
    seconds: TimeOption = STOP_SECONDS,
    engine: AnyEngineOption = "auto",
    json: JsonOption = False,
) -> None:
    """Stop servers. They are kept, with their logs, until they are removed."""
    from tfserve.servers.lookup import find_servers

    output = Output(json_wanted=json)
    stopped = []
    for server in find_servers(names, engine, among=lambda server: server.running):
        if server.running:
            server.stop(grace=seconds)
        stopped.append(server.name)
    output.result(stopped, "\n".join(f"{name} is stopped" for name in stopped))


def start(
    names: OptionalNames = None,
    *,
    wait: WaitOption = WAIT_SECONDS,
    engine: AnyEngineOption = "auto",
    json: JsonOption = False,
) -> None:
    """Start stopped servers again. Waits until they are ready."""
    from tfserve.servers.lookup import find_servers

    output = Output(json_wanted=json)
    servers = find_servers(names, engine, among=_is_inactive)
    started = [_start_again(server, wait, output) if _is_inactive(server) else server for server in servers]
    _show(started, output)


def restart(
    names: OptionalNames = None,
    *,
    seconds: TimeOption = STOP_SECONDS,
    wait: WaitOption = WAIT_SECONDS,
    engine: AnyEngineOption = "auto",
    json: JsonOption = False,
) -> None:
    """Stop servers and start them again. Waits until they are ready."""
    from tfserve.servers.lookup import find_servers

    output = Output(json_wanted=json)
    started = []
    servers = find_servers(names, engine)
    for server in servers:
        if server.auto_remove:
            raise UsageError(
                f"{server.name!r} was started with --rm, so stopping it would remove it. Nothing was restarted.",
                hint="Replace it instead: tfserve run … --replace",
            )
    for server in servers:
        if server.running:
            server.stop(grace=seconds)
        started.append(_start_again(server, wait, output))
    _show(started, output)


def remove(
    names: OptionalNames = None,
    *,
    force: Annotated[bool, typer.Option("--force", "-f", help="Also remove running servers.")] = False,
    engine: AnyEngineOption = "auto",
    json: JsonOption = False,
) -> None:
    """Remove servers, with their logs."""
    from tfserve.servers.lookup import find_servers

    output = Output(json_wanted=json)
    servers = find_servers(names, engine)
    running = [server.name for server in servers if server.running]
    if running and not force:
        raise UsageError(
            f"Still running: {', '.join(running)}. Nothing was removed.",
            hint=f"Stop first: tfserve stop {' '.join(running)}. Or remove now: tfserve rm --force {' '.join(running)}",
        )
    for server in servers:
        server.remove()
    output.result([server.name for server in servers], "\n".join(f"{server.name} is removed" for server in servers))


def _is_inactive(server: Server) -> bool:
    """Whether a server is stopped, or was paused with the docker command."""
    return not server.running or server.state == "paused"


def _start_again(server: Server, wait: float, output: Output) -> Server:
    from tfserve.servers.launch import restart as start_again

    return start_again(server, wait_seconds=wait, progress=output)


def _show(servers: list[Server], output: Output) -> None:
    from tfserve.servers.status import server_statuses

    statuses = server_statuses(servers)
    text = "\n".join(f"{status.server.name} is {status.server.state} ({status.health})" for status in statuses)
    output.result([status.to_json() for status in statuses], text)

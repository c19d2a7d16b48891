"""Shows a server that was just started: its addresses and the result of its test request."""

from __future__ import annotations

import signal
from typing import Any

from tfserve.cli.output import Output
from tfserve.defaults import STOP_SECONDS
from tfserve.engines.base import Server
from tfserve.errors import NotReadyError
from tfserve.interrupts import interrupts_deferred
from tfserve.servers.launch import Launched
from tfserve.servers.status import server_status

__all__ = ["follow", "show_launched", "show_server"]

_STOPPED = (0, 128 + signal.SIGINT, 128 + signal.SIGTERM)


def show_launched(launched: Launched, output: Output) -> None:
    """Shows the server that ``run`` started, with the result of its smoke test."""
    tested = launched.smoke_test
    lines = [] if tested is None else [f"  smoke test  answered in {tested.latency_ms:.1f} ms"]
    show_server(launched.server, output, lines, smoke_test=tested.to_json() if tested else None)


def show_server(server: Server, output: Output, lines: list[str], **more: Any) -> None:
    """Shows one server with its addresses, then `lines`; `more` is added to its JSON document."""
    status = server_status(server)
    where = f"image {server.image}" if server.image else f"process {server.pid}"
    state = "is ready" if status.health == "available" else f"is {server.state} ({status.health})"
    addresses = [f"  REST        {server.rest_url}/v1/models/{model}:predict" for model in server.models]
    text = [
        f"{server.name} {state} ({server.engine.name}, {where})",
        *(addresses if server.rest_url else ()),
        *([f"  gRPC        {server.grpc_address}"] if server.grpc_address else ()),
        *lines,
    ]
    output.result({**status.to_json(), **more}, text)


def follow(launched: Launched, output: Output) -> None:
    """Shows the server, then follows its log on stderr until the server exits.

    Raises:
        KeyboardInterrupt: the user interrupted; the server was stopped.
        NotReadyError: the server exited with an error.
    """
    server = launched.server
    try:
        show_launched(launched, output)
        for line in server.logs(follow=True):
            output.line(line, to_stderr=True)
    except BaseException:
        with interrupts_deferred():
            server.stop(grace=STOP_SECONDS)
        raise
    now = server.engine.find(server.name)
    if now is not None and now.exit is not None and now.exit.code not in _STOPPED:
        raise NotReadyError(
            f"{server.name!r} exited with code {now.exit.code}.", hint=f"Read its log: tfserve logs {server.name}"
        )

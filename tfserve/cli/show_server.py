"""Shows a server that has just been started: where it is, that it works, and what to type next."""

from __future__ import annotations

import signal
from typing import Any

from tfserve.cli.output import Output
from tfserve.defaults import STOP_SECONDS
from tfserve.engines.base import Server
from tfserve.errors import NotReadyError
from tfserve.interrupts import interrupts_deferred
from tfserve.servers.launch import Launched
from tfserve.servers.status import look_at

__all__ = ["show_launched", "show_server", "stay"]

_STOPPED = (0, 128 + signal.SIGINT, 128 + signal.SIGTERM)


def show_launched(launched: Launched, output: Output) -> None:
    """Shows what ``run`` started, and what its smoke test found."""
    tested = launched.smoke_test
    lines = [] if tested is None else [f"  smoke test  answered in {tested.latency_ms:.1f} ms"]
    show_server(launched.server, output, lines, smoke_test=tested.to_json() if tested else None)


def show_server(server: Server, output: Output, lines: list[str], **more: Any) -> None:
    """Shows one server with its addresses, then `lines`; `more` is added to its JSON document."""
    status = look_at(server)
    where = f"image {server.image}" if server.image else f"process {server.pid}"
    state = "is ready" if status.health == "available" else f"is {server.state} ({status.health})"
    addresses = [f"  REST        {server.rest_url}/v1/models/{model}:predict" for model in server.models]
    text = [
        f"{server.name} {state} ({server.engine.name}, {where})",
        *(addresses if server.rest_url else ()),
        *([f"  gRPC        {server.grpc_address}"] if server.grpc_address else ()),
        *lines,
    ]
    output.result({**status.to_json(), **more}, "\n".join(text))


def stay(launched: Launched, output: Output) -> None:
    """Shows the server's log on stderr until it ends.

    Raises:
        KeyboardInterrupt: somebody interrupted; the server has been stopped.
        NotReadyError: the server ended by itself, other than by being stopped.
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
            f"{server.name!r} ended with code {now.exit.code}.", hint=f"Its log stays: tfserve logs {server.name}"
        )

"""``tfserve run --foreground``: stays with the server, shows its log, and stops it on Ctrl-C."""

from __future__ import annotations

import signal

from tfserve.cli.launched import show_launched
from tfserve.cli.output import Output
from tfserve.defaults import STOP_SECONDS
from tfserve.errors import NotReadyError
from tfserve.interrupts import held
from tfserve.servers.launch import Launched

__all__ = ["stay"]

_STOPPED = (0, 128 + signal.SIGINT, 128 + signal.SIGTERM)


def stay(launched: Launched, output: Output) -> None:
    """Shows the server's log on stderr until it ends.

    Raises:
        KeyboardInterrupt: somebody interrupted; the server has been stopped.
        NotReadyError: the server ended by itself, other than by being stopped.
    """
    engine, server = launched.engine, launched.server
    try:
        show_launched(launched, output)
        for line in engine.logs(server, follow=True):
            output.line(line, to_stderr=True)
    except BaseException:
        with held():
            engine.stop(server, grace=STOP_SECONDS)
        raise
    now = engine.find(server.name)
    if now is not None and now.exit is not None and now.exit.code not in _STOPPED:
        raise NotReadyError(
            f"{server.name!r} ended with code {now.exit.code}.", hint=f"Its log stays: tfserve logs {server.name}"
        )

"""Waits until a server serves, and gives up as soon as it is clear that it will not.

The real server opens its ports only when every model is AVAILABLE, and retries a broken one for minutes behind closed
ports. So two things are watched at once: the status API, which says yes, and the log, which says no.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from tfserve.engines.base import Exit, Server
from tfserve.engines.conflicts import port_taken
from tfserve.errors import NotReadyError, PortTakenError, RequestError
from tfserve.interrupts import raise_if_cancelled
from tfserve.servers.status import is_loading

__all__ = ["wait_until_ready"]

_LINES_KEPT = 400
_LINES_SHOWN = 15
_FIRST_POLLS_SECONDS = 0.005
_LATER_POLLS_SECONDS = 0.1
_EXIT_SECONDS = 3.0
_SETTLE_SECONDS = 0.1  # what a dying server still writes after its first fatal line
_STARTED = "Entering the event loop"
_GRPC_STARTED = "Running gRPC ModelServer at"  # before that, and the last word of a server without REST


@dataclass
class _Watch:
    """What the log has said so far, written by one thread and read by another; `over` tells the first to stop."""

    lines: deque[str]
    fatal: bool = False
    started: bool = False
    ended: bool = False
    over: bool = False
    error: Exception | None = None


def wait_until_ready(
    server: Server,
    *,
    seconds: float,
    since: datetime | None = None,
    on_wait: Callable[[str], None] = lambda message: None,
) -> None:
    """Returns when every model of `server` has an AVAILABLE version, and none that is still on its way.

    Where the REST API is not published, the log has to say that the server has started.

    Args:
        server: the server, just started.
        seconds: how long to wait at most.
        since: from when on the log is read, for a server that was started before; None for all of it.
        on_wait: told what is being waited for, whenever that changes.

    Raises:
        PortTakenError: the server ended because another program listens on its port.
        NotReadyError: the server ended, cannot load its model, or took too long; with the end of its log.
        EngineUnavailableError: the engine went away.
    """
    watch = _Watch(deque(maxlen=_LINES_KEPT))
    threading.Thread(target=_follow, args=(server, since, watch), daemon=True).start()
    try:
        on_wait(f"Waiting for {', '.join(server.models)} to become AVAILABLE")
        _wait(server, seconds, watch)
    finally:
        watch.over = True


def _wait(server: Server, seconds: float, watch: _Watch) -> None:
    waiting = list(server.models)
    begin = time.monotonic()
    while True:
        raise_if_cancelled()
        waiting = [model for model in waiting if not _is_available(server, model, watch)]
        if not waiting:
            return
        elapsed = time.monotonic() - begin
        if watch.error is not None:
            raise watch.error
        if watch.fatal or watch.ended:
            raise _not_ready(server, watch)
        if elapsed > seconds:
            raise NotReadyError(
                f"{server.name!r} was not ready after {seconds:g} s.",
                hint="A large model takes longer to load: --wait SECONDS. --keep-failed keeps the server for a look.",
                details=_last_lines(watch),
            )
        time.sleep(_FIRST_POLLS_SECONDS if elapsed < 5 else _LATER_POLLS_SECONDS)


def _is_available(server: Server, model: str, watch: _Watch) -> bool:
    from tfserve.client.rest import poll_status

    # Before the log reports the start, the answer may come from another program that had the port first, unless the
    # engine reserves it.
    if (server.rest_url is None or not server.engine.reserves_ports) and not watch.started:
        return False
    if server.rest_url is None:
        return True
    try:
        states = [version.state for version in poll_status(server.rest_url, model)]
        return "AVAILABLE" in states and not is_loading(states)
    except RequestError:  # no port yet, or not this model's turn
        return False


def _follow(server: Server, since: datetime | None, watch: _Watch) -> None:
    from tfserve.engines.server_log import is_fatal

    try:
        for line in server.logs(follow=True, since=since):
            if watch.over:
                break
            watch.lines.append(line)
            watch.fatal |= is_fatal(line)
            watch.started |= _STARTED in line or (server.rest_url is None and _GRPC_STARTED in line)
        watch.ended = True
    except OSError:  # the log was removed with the server
        watch.ended = True
    except Exception as error:  # it is raised again by the thread that waits
        watch.error = error


def _not_ready(server: Server, watch: _Watch) -> NotReadyError | PortTakenError:
    if watch.ended:
        ended = _exit(server)
        how = "" if ended.code is None else f" with code {ended.code}"
        what = f"{server.name!r} ended{how} before it was ready."
    else:
        time.sleep(_SETTLE_SECONDS)
        ended = None
        what = f"{server.name!r} cannot load its model."
    from tfserve.engines.server_log import port_was_taken

    if port_was_taken(watch.lines):  # the server is about to exit, if it has not yet
        return port_taken(details=_last_lines(watch))
    diagnosis = server.diagnose(list(watch.lines), ended)
    return NotReadyError(
        f"{what} {diagnosis.cause}" if diagnosis else what,
        hint=diagnosis.hint if diagnosis else "The end of its log is above; --keep-failed keeps the server for a look.",
        details=_last_lines(watch),
        doctor=bool(diagnosis and diagnosis.doctor),
    )


def _exit(server: Server) -> Exit:
    """Waits until the engine, too, knows that the server has ended."""
    deadline = time.monotonic() + _EXIT_SECONDS
    while time.monotonic() < deadline:
        found = server.engine.find(server.name)
        if found is None:
            break
        if found.exit is not None:
            return found.exit
        time.sleep(_FIRST_POLLS_SECONDS)
    return Exit(None)


def _last_lines(watch: _Watch) -> str | None:
    return "\n".join(list(watch.lines)[-_LINES_SHOWN:]) or None

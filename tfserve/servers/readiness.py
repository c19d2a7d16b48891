"""Waits until a server is ready, and gives up as soon as it is clear that it will not be.

The official server opens its ports only when every model is AVAILABLE, and retries to load a broken model for minutes
with its ports closed. Therefore two things are watched: the status API reports success, and the log reports failure.
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
from tfserve.errors import NotReadyError, PortTakenError, RequestError, Wording
from tfserve.interrupts import raise_if_cancelled
from tfserve.servers.status import is_loading

__all__ = ["UnexplainedError", "wait_until_ready"]

_SLOW = Wording("A large model takes longer to load: raise {wait_seconds}.")
_UNKNOWN = "The end of its log is shown above."

_LINES_KEPT = 400
_LINES_SHOWN = 15
_FIRST_POLLS_SECONDS = 0.005
_LATER_POLLS_SECONDS = 0.1
_EXIT_SECONDS = 3.0
_SETTLE_SECONDS = 0.1  # to collect the lines that a failing server writes after its first fatal line
_STARTED = "Entering the event loop"
_GRPC_STARTED = "Running gRPC ModelServer at"  # written before that, and last by a server without REST


class UnexplainedError(NotReadyError):
    """A server did not become ready, for a reason that is not known. More of its log could show it."""


@dataclass
class _Watch:
    """What the log has shown so far. One thread follows the log and updates this, until the other one sets `over`."""

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
    """Returns when every model of `server` has an AVAILABLE version, and no version is still loading.

    If the REST API is not published, the log has to report the start instead.

    Args:
        server: the server, which has just been started.
        seconds: how long to wait at most.
        since: the time from which the log is read, if the server was started before; None for the whole log.
        on_wait: called with what is being waited for.

    Raises:
        PortTakenError: the server exited because another program listens on its port.
        NotReadyError: the server exited, cannot load its model, or took too long; with the end of its log.
        EngineUnavailableError: the engine stopped answering.
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
            raise UnexplainedError(
                f"{server.name!r} was not ready after {seconds:g} s.",
                hint=_SLOW,
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
    except RequestError:  # the port is not open yet, or the model is not loaded yet
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
    except Exception as error:  # the waiting thread raises it again
        watch.error = error


def _not_ready(server: Server, watch: _Watch) -> NotReadyError | PortTakenError:
    if watch.ended:
        exited = _exit(server)
        how = "" if exited.code is None else f" with code {exited.code}"
        what = f"{server.name!r} exited{how} before it was ready."
    else:
        time.sleep(_SETTLE_SECONDS)
        exited = None
        what = f"{server.name!r} cannot load its model."
    from tfserve.engines.server_log import port_was_taken

    if port_was_taken(watch.lines):  # the server is about to exit, if it has not yet
        return port_taken(details=_last_lines(watch))
    diagnosis = server.diagnose(list(watch.lines), exited)
    if diagnosis is None:
        return UnexplainedError(what, hint=_UNKNOWN, details=_last_lines(watch))
    return NotReadyError(
        f"{what} {diagnosis.cause}", hint=diagnosis.hint, details=_last_lines(watch), doctor=diagnosis.doctor
    )


def _exit(server: Server) -> Exit:
    """Waits until the engine also reports that the server has exited."""
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

"""Starts the servers of a file as `reconcile` decided, and removes them.

Servers start at the same time, and the failure of one does not affect the others. If two commands change one server at
the same time, the second waits for the first, and then does what remains to be done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from tfserve.config.source_map import file_names
from tfserve.defaults import STOP_SECONDS
from tfserve.engines.base import Server
from tfserve.engines.choice import host_for
from tfserve.engines.conflicts import changed_elsewhere
from tfserve.engines.registry import starting_together
from tfserve.errors import NameTakenError, TfserveError, Wording, located
from tfserve.gpu.machine import Host
from tfserve.host.server_lock import is_locked, server_lock
from tfserve.interrupts import cancel_workers, interrupts_deferred, raise_if_cancelled, reset_cancellation
from tfserve.progress import LayerProgress, Progress, Silent
from tfserve.servers.launch import launch, restart
from tfserve.servers.reconcile import Step, reconcile_again

__all__ = ["Outcome", "down", "run_in_parallel", "up"]

T = TypeVar("T")
R = TypeVar("R")
_NOTHING_TO_DO = ("leave", "fail")


@dataclass(frozen=True)
class Outcome:
    """The result of a step: the server, or the error."""

    step: Step
    server: Server | None = None
    error: TfserveError | None = None


def up(
    steps: Sequence[Step], progress: Progress, on_outcome: Callable[[Outcome], None] = lambda outcome: None
) -> list[Outcome]:
    """Takes all steps at the same time, and returns their outcomes, in the order of the steps.

    Args:
        steps: what to do.
        progress: receives notices, each with the name of its server.
        on_outcome: called with each outcome as soon as it is known, in any order and in any thread.

    Raises:
        KeyboardInterrupt: the user interrupted; servers that are ready stay, those that were starting are removed.
    """

    def take(step: Step) -> Outcome:
        outcome = _take(step, _ServerProgress(step.name, progress), host)
        on_outcome(outcome)
        return outcome

    launches = [step.configured for step in steps if step.action not in _NOTHING_TO_DO]
    host = host_for((each.spec, each.options.engine) for each in launches)
    with starting_together(len(launches)):
        return run_in_parallel(take, steps)


def down(servers: Sequence[Server], *, grace: float) -> None:
    """Stops and removes servers at the same time."""

    def remove(server: Server) -> None:
        with server_lock(server.name, Silent()):
            if server.running and not server.auto_remove:
                server.stop(grace=grace)
            server.remove()

    run_in_parallel(remove, servers)


def run_in_parallel(do: Callable[[T], R], things: Sequence[T]) -> list[R]:
    """Calls a function for all things at the same time, each in a thread. An interrupt cancels all of them cleanly."""
    if not things:
        return []
    futures: list[Future[R]] = []
    with ThreadPoolExecutor(max_workers=len(things)) as pool:
        try:
            with interrupts_deferred():  # a thread that has started but is not recorded would never be awaited
                futures += [pool.submit(do, thing) for thing in things]
            wait(futures)
        except BaseException:
            with interrupts_deferred():
                cancel_workers()
                wait(futures)
                reset_cancellation()
            raise
    return [future.result() for future in futures]


def _take(step: Step, progress: Progress, host: Host) -> Outcome:
    if step.action == "fail" or (step.action == "leave" and not is_locked(step.name)):
        return Outcome(step, step.existing, step.error)
    try:
        with server_lock(step.name, progress):
            step = reconcile_again(step, progress)
            raise_if_cancelled()
            return Outcome(step, _carry_out(step, progress, host), step.error)
    except NameTakenError:
        return Outcome(step, error=changed_elsewhere(step.name))
    except TfserveError as error:
        return Outcome(step, error=error)


def _carry_out(step: Step, progress: Progress, host: Host) -> Server | None:
    options = step.configured.options
    if step.action in _NOTHING_TO_DO:
        return step.existing
    if step.existing is not None and step.action in ("start", "unpause"):
        try:
            return restart(step.existing, wait_seconds=options.wait_seconds, progress=progress)
        except KeyboardInterrupt:
            with suppress(TfserveError):
                step.existing.stop(grace=STOP_SECONDS)
            raise
    if step.action == "recreate":
        options = replace(options, replace=True, keep_failed=False)
    with located(step.configured.locate):
        launched = launch(step.configured.spec, options, progress, host)
    return launched.server


class _ServerProgress(Silent):
    """The progress of one server among several: notices begin with its name, and there are no progress bars."""

    def __init__(self, name: str, progress: Progress) -> None:
        self._name = name
        self._progress = progress

    def notice(self, text: str | Wording) -> None:
        self._progress.notice(f"{self._name}: {text if isinstance(text, str) else text(file_names)}")

    @contextmanager
    def pulling(self, image: str) -> Iterator[Callable[[LayerProgress], None]]:
        self.notice(f"Pulling {image}")
        yield lambda layer: raise_if_cancelled()

    @contextmanager
    def copying(self, what: str, total: int | None) -> Iterator[Callable[[int], None]]:
        self.notice(what)
        yield lambda done: raise_if_cancelled()

"""Makes what runs the same as what a file describes: carries out what `reconcile` decided on, and takes servers down.

Servers start together, and one that fails does not hide the others. Of two commands that change one server at the same
time, the second waits for the first, and then does what is left to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from tfserve.defaults import STOP_SECONDS
from tfserve.engines.base import Server
from tfserve.engines.conflicts import changed_elsewhere
from tfserve.engines.registry import starting_together
from tfserve.errors import NameTakenError, TfserveError, Wording
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
    """What came of a step: the server with its engine, or the error."""

    step: Step
    server: Server | None = None
    error: TfserveError | None = None


def up(
    steps: Sequence[Step], progress: Progress, on_outcome: Callable[[Outcome], None] = lambda outcome: None
) -> list[Outcome]:
    """Takes all steps at the same time, and returns what came of each, in their order.

    Args:
        steps: what to do.
        progress: told what goes on.
        on_outcome: told what came of each as soon as that is known, in whatever order and thread.

    Raises:
        KeyboardInterrupt: somebody interrupted; what was being made is gone, what was done stays.
    """

    def take(step: Step) -> Outcome:
        outcome = _take(step, _Part(step.name, progress))
        on_outcome(outcome)
        return outcome

    with starting_together(sum(step.action not in _NOTHING_TO_DO for step in steps)):
        return run_in_parallel(take, steps)


def down(servers: Sequence[Server], *, grace: float) -> None:
    """Stops and removes servers, all at the same time."""

    def end(server: Server) -> None:
        with server_lock(server.name, Silent()):
            if server.running and not server.auto_remove:
                server.stop(grace=grace)
            server.remove()

    run_in_parallel(end, servers)


def run_in_parallel(do: Callable[[T], R], things: Sequence[T]) -> list[R]:
    """Does something to all things at the same time, each in a thread; an interrupt ends them all, in good order."""
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


def _take(step: Step, progress: Progress) -> Outcome:
    if step.action == "fail" or (step.action == "leave" and not is_locked(step.name)):
        return Outcome(step, step.existing, step.error)
    try:
        with server_lock(step.name, progress):
            step = reconcile_again(step, progress)
            raise_if_cancelled()
            return Outcome(step, _carry_out(step, progress), step.error)
    except NameTakenError:
        return Outcome(step, error=changed_elsewhere(step.name))
    except TfserveError as error:
        return Outcome(step, error=error)


def _carry_out(step: Step, progress: Progress) -> Server | None:
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
    with step.configured.located():
        launched = launch(step.configured.spec, options, progress)
    return launched.server


class _Part(Silent):
    """The progress of one server among several: notices say whose they are, and nothing is drawn."""

    def __init__(self, name: str, progress: Progress) -> None:
        self._name = name
        self._progress = progress

    def notice(self, text: str | Wording) -> None:
        """See `Progress.notice`."""
        self._progress.notice(Wording("{name}: {text}", name=self._name, text=text))

    @contextmanager
    def pulling(self, image: str) -> Iterator[Callable[[LayerProgress], None]]:
        """See `Progress.pulling`."""
        self.notice(f"Pulling {image}")
        yield lambda layer: raise_if_cancelled()

    @contextmanager
    def copying(self, what: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """See `Progress.copying`."""
        self.notice(what)
        yield lambda done: raise_if_cancelled()

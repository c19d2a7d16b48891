"""Makes what runs the same as what a file describes: what is missing is created, what has changed is made anew.

Everything else is left alone. Servers start together, and one that fails does not hide the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from tfserve.bucket_credentials import SECRET_VARIABLES
from tfserve.config.servers import Configured
from tfserve.engines.base import Engine, Server
from tfserve.engines.local_process import starting_together
from tfserve.engines.lookup import Found, list_servers
from tfserve.errors import TfserveError
from tfserve.interrupts import end_threads, held, raise_if_ending
from tfserve.launch import launch, restart
from tfserve.model_source import find_source
from tfserve.plan import spec_json
from tfserve.progress import LayerProgress, Progress, Silent
from tfserve.spec import ServeSpec

__all__ = ["Outcome", "Step", "decide", "take_down", "together", "up"]

T = TypeVar("T")
R = TypeVar("R")
Action = Literal["create", "recreate", "start", "leave", "fail"]
_NOTHING = object()


@dataclass(frozen=True)
class Step:
    """What is to be done about one server.

    Attributes:
        configured: the server as the file describes it.
        action: what is to be done.
        existing: the server that is there, and its engine; None when there is none.
        changed: the fields by which it differs, for ``recreate``.
        error: why nothing can be done about it, for ``fail``.
    """

    configured: Configured
    action: Action
    existing: Found | None = None
    changed: tuple[str, ...] = ()
    error: TfserveError | None = None

    @property
    def name(self) -> str:
        """The server's name."""
        return self.configured.spec.name


@dataclass(frozen=True)
class Outcome:
    """What came of a step: the server with its engine, or the error."""

    step: Step
    found: Found | None = None
    error: TfserveError | None = None


def decide(servers: Sequence[Configured], progress: Progress) -> list[Step]:
    """Compares what a file describes with what is there; changes nothing, but downloads archives into the cache."""
    there: dict[str, list[Found]] = {}
    for engine, server in list_servers().found:
        there.setdefault(server.name, []).append((engine, server))
    return [_step(configured, there.get(configured.spec.name, []), progress) for configured in servers]


def up(steps: Sequence[Step], progress: Progress) -> list[Outcome]:
    """Takes all steps at the same time, and returns what came of each, in their order.

    Raises:
        KeyboardInterrupt: somebody interrupted; what was being made is gone, what was done stays.
    """
    with starting_together(sum(step.action in ("create", "recreate", "start") for step in steps)):
        return together(lambda step: _take(step, _Part(step.name, progress)), steps)


def take_down(found: Sequence[Found], *, grace: float) -> None:
    """Stops and removes servers, all at the same time."""

    def end(pair: Found) -> None:
        engine, server = pair
        if server.running and not server.removes_itself:
            engine.stop(server, grace=grace)
        engine.remove(server)

    together(end, found)


def together(do: Callable[[T], R], things: Sequence[T]) -> list[R]:
    """Does something to all things at the same time, each in a thread; an interrupt ends them all, in good order."""
    if not things:
        return []
    futures: list[Future[R]] = []
    with ThreadPoolExecutor(max_workers=len(things)) as pool:
        try:
            with held():  # a thread that has begun and is not noted would be waited for by nobody
                futures += [pool.submit(do, thing) for thing in things]
            wait(futures)
        except BaseException:
            with held():
                end_threads()
                wait(futures)
            raise
    return [future.result() for future in futures]


def _step(configured: Configured, there: Sequence[Found], progress: Progress) -> Step:
    choice = configured.options.engine
    try:
        spec = configured.spec
        wanted = _labelled(spec, progress)
        if not there:
            return Step(configured, "create")
        engine, server = next((pair for pair in there if choice in ("auto", pair[0].name)), there[0])
        keys = {*wanted, *server.spec}
        changed = {key for key in keys if wanted.get(key, _NOTHING) != server.spec.get(key, _NOTHING)}
        if spec.environment and not _has(engine, server, spec.environment):
            changed.add("environment")
        if choice not in ("auto", engine.name):
            changed.add("engine")
    except TfserveError as error:
        return Step(configured, "fail", error=error)
    if changed:
        return Step(configured, "recreate", (engine, server), tuple(sorted(changed)))
    return Step(configured, "leave" if server.running else "start", (engine, server))


def _labelled(spec: ServeSpec, progress: Progress) -> dict[str, Any]:
    """What the label of a server of `spec` would say."""
    directories = [find_source(model.path, sha256=model.sha256, progress=progress) for model in spec.models_here]
    label: dict[str, Any] = json.loads(spec_json(spec, directories))
    return label


def _has(engine: Engine, server: Server, environment: Mapping[str, str]) -> bool:
    """Whether a server has these variables; their values are in no label, so the engine is asked.

    The local engine writes down no secrets: of these it is only known that there are some.
    """
    known = engine.environment(server)
    unknown = set(SECRET_VARIABLES).difference(known) if engine.name == "local" else set()
    return all(known.get(name) == value for name, value in environment.items() if name not in unknown)


def _take(step: Step, progress: Progress) -> Outcome:
    try:
        if step.action == "fail":
            return Outcome(step, error=step.error)
        if step.existing is not None and step.action == "leave":
            return Outcome(step, step.existing)
        if step.existing is not None and step.action == "start":
            engine, server = step.existing
            seconds = step.configured.options.wait_seconds
            return Outcome(step, (engine, restart(engine, server, wait_seconds=seconds, progress=progress)))
        options = step.configured.options
        if step.action == "recreate":
            options = replace(options, replace=True, keep_failed=False)
        launched = launch(step.configured.spec, options, progress)
        return Outcome(step, (launched.engine, launched.server))
    except TfserveError as error:
        return Outcome(step, error=error)


class _Part(Silent):
    """The progress of one server among several: notices say whose they are, and nothing is drawn."""

    def __init__(self, name: str, progress: Progress) -> None:
        self._name = name
        self._progress = progress

    def notice(self, text: str) -> None:
        """See `Progress.notice`."""
        self._progress.notice(f"{self._name}: {text}")

    @contextmanager
    def pulling(self, image: str) -> Iterator[Callable[[LayerProgress], None]]:
        """See `Progress.pulling`."""
        self.notice(f"Pulling {image}")
        yield lambda layer: raise_if_ending()

    @contextmanager
    def copying(self, what: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """See `Progress.copying`."""
        self.notice(what)
        yield lambda done: raise_if_ending()

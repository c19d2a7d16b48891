"""Launches a server: checks the models, chooses an engine, plans, starts, waits until ready, sends a test request.

If a launch fails or is interrupted, everything that was created for it is removed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import NamedTuple

from tfserve.defaults import EngineChoice
from tfserve.engines.base import Engine, Planner, Server
from tfserve.engines.choice import check_spec, choose_engine, host_for, planner_without_engine
from tfserve.engines.conflicts import changed_elsewhere, name_taken
from tfserve.errors import EngineUnavailableError, NameTakenError, PortTakenError, TfserveError, Wording
from tfserve.gpu.machine import Host
from tfserve.host.server_lock import server_lock
from tfserve.interrupts import interrupts_deferred
from tfserve.models.origin import report_origins
from tfserve.models.saved_model import ModelDirectory
from tfserve.plan.launch_plan import LaunchPlan
from tfserve.plan.secrets import hidden_variables
from tfserve.progress import Progress
from tfserve.servers.ports import PortChooser, requested_ports
from tfserve.servers.readiness import UnexplainedError, wait_until_ready
from tfserve.servers.replace import own_ports, place_of, servers_named
from tfserve.servers.smoke_test import SmokeTest, read_test_request, smoke_test
from tfserve.spec.serve import LaunchOptions, ServeSpec

__all__ = ["WITHOUT_SANDBOX", "Launched", "Planned", "launch", "planned", "restart"]

WITHOUT_SANDBOX = "This command starts the server without its sandbox, which only tfserve sets up."
"""What to say about the line of a `Planned` whose plan has a sandbox."""

_ATTEMPTS = 4
_KEEP_FAILED = Wording(" {keep_failed} keeps a failed server.")


@dataclass(frozen=True)
class Launched:
    """A server that is ready, and the result of its smoke test; None if there was none."""

    server: Server
    smoke_test: SmokeTest | None


class Planned(NamedTuple):
    """What would be launched, and the line for a shell that starts it without tfserve."""

    plan: LaunchPlan
    command_line: str


def launch(
    spec: ServeSpec,
    options: LaunchOptions,
    progress: Progress,
    host: Host | None = None,
    *,
    suggest_keep_failed: bool = True,
) -> Launched:
    """Starts a server for `spec`, and returns when it is ready.

    Args:
        spec: what was requested.
        options: how to launch it.
        progress: reports decisions, downloads and what is being waited for.
        host: this machine, if several servers are launched; None to look at it for this launch only.
        suggest_keep_failed: whether an error may suggest `keep_failed`, because the caller accepts it from the user.

    Raises:
        TfserveError: a subclass for each kind of failure; no server is left, unless `options` keep a failed one.
        KeyboardInterrupt: the user interrupted; no server is left.
    """
    options = read_test_request(options)
    host = host or host_for([(spec, options.engine)])
    directories = check_spec(spec, options.engine, progress)
    report_origins(((model.name, model.path) for model in spec.models), directories, progress)
    if not options.replace and servers_named(spec.name):
        raise name_taken(spec.name)
    engine, gpu = choose_engine(spec, options.engine, options.pull, progress, host)
    if not options.replace:
        try:
            return _launch_on_free_ports(spec, directories, engine, gpu, options, progress)
        except UnexplainedError as error:
            if suggest_keep_failed and not options.keep_failed:
                error.add_hint(_KEEP_FAILED)
            raise
    with server_lock(spec.name, progress):
        old = servers_named(spec.name)
        if old:  # a plan that is refused must be refused while the old server is still running
            requested = requested_ports(spec, shared=engine.shares_ports, own=own_ports(old))
            engine.plan(spec, directories, requested, gpu=gpu)
        with place_of(old, progress):
            try:
                return _launch_on_free_ports(spec, directories, engine, gpu, options, progress)
            except NameTakenError:
                raise changed_elsewhere(spec.name) from None


def restart(server: Server, *, wait_seconds: float, progress: Progress) -> Server:
    """Starts a stopped or paused server again, and returns when it is ready. If it fails, it is kept with its log."""
    since = None if server.state == "paused" else datetime.now(timezone.utc)
    started = server.start()
    if wait_seconds:
        with progress.waiting() as on_wait:
            wait_until_ready(started, seconds=wait_seconds, since=since, on_wait=on_wait)
    return started


@contextmanager
def planned(
    spec: ServeSpec, choice: EngineChoice, progress: Progress, host: Host | None = None, *, replace: bool = False
) -> Iterator[Planned]:
    """Plans what `launch` would start, and changes nothing. Some plans can be made without a connection to the engine.

    Nothing is downloaded: a model at an address is the one in the cache or, without one, only its address is shown.
    Plans whose blocks overlap do not name the same free ports.

    Args:
        spec: what was requested.
        choice: which engine was chosen.
        progress: reports decisions.
        host: this machine, if several servers are planned; None to look at it for this plan only.
        replace: whether the server would replace one of the same name, and so take its ports.
    """
    own = own_ports(servers_named(spec.name)) if replace else frozenset()
    host = host or host_for([(spec, choice)])
    directories = check_spec(spec, choice, progress, download=False, addresses=True)
    for address in filter(None, (directory.address for directory in directories)):
        progress.notice(
            f"The model at {address} has not been downloaded: the command has the address in place of its directory."
        )
    planner: Planner
    try:
        planner, gpu = choose_engine(spec, choice, None, progress, host)
    except EngineUnavailableError as error:
        alternative = planner_without_engine(choice) if spec.models else None
        if alternative is None:
            raise
        progress.notice(
            Wording("{problem} The command below is for an engine with default settings.", problem=error.wording)
        )
        planner, gpu = alternative, bool(spec.wants_gpu)
    with PortChooser(spec.host, shared=planner.shares_ports, progress=progress, own=own) as chooser:
        plan = planner.plan(spec, directories, chooser.choose(spec), gpu=gpu)
        read = {**plan.secrets, **{name: plan.environment[name] for name in hidden_variables(plan.environment)}}
        if missing := [name for name, value in read.items() if os.environ.get(name) != value]:
            progress.notice(f"The command reads {', '.join(missing)} from the environment; export them first.")
        yield Planned(plan, planner.command_line(plan))


def _launch_on_free_ports(
    spec: ServeSpec,
    directories: Sequence[ModelDirectory],
    engine: Engine,
    gpu: bool,
    options: LaunchOptions,
    progress: Progress,
) -> Launched:
    """Launches on the requested ports; a default port that is taken in the meantime is replaced by a free one."""
    with PortChooser(spec.host, shared=engine.shares_ports, progress=progress) as chooser:
        for attempts_left in reversed(range(_ATTEMPTS)):
            chosen = chooser.choose(spec)
            plan = engine.plan(spec, directories, chosen, gpu=gpu)
            for notice in plan.notices:
                progress.notice(notice)
            try:
                return _launch_plan(plan, engine, options, progress)
            except PortTakenError:
                if not attempts_left or (spec.rest_port.explicit and spec.grpc_port.explicit):
                    raise
                chooser.reject(chosen)
    raise AssertionError("the last attempt returns or raises")


def _launch_plan(plan: LaunchPlan, engine: Engine, options: LaunchOptions, progress: Progress) -> Launched:
    """Starts a plan and waits until the server is ready; otherwise removes it, unless `options` keep a failed one."""
    server: Server | None = None
    try:
        with interrupts_deferred():
            server = engine.launch(plan)
        return Launched(server, _wait_and_test(server, options, progress))
    except BaseException as error:
        kept = options.keep_failed and isinstance(error, TfserveError) and not isinstance(error, PortTakenError)
        if server is not None and not kept:
            with interrupts_deferred(), suppress(TfserveError):
                server.remove()
        raise


def _wait_and_test(server: Server, options: LaunchOptions, progress: Progress) -> SmokeTest | None:
    if not options.wait_seconds:
        return None
    with progress.waiting() as on_wait:
        wait_until_ready(server, seconds=options.wait_seconds, on_wait=on_wait)
        if not options.smoke_test:
            return None
        on_wait("Sending a test request")
        return smoke_test(
            server, options.smoke_test.encode() if isinstance(options.smoke_test, str) else None, progress
        )

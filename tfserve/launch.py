"""Starts a server the whole way: look at the model, choose an engine, plan, start, wait until it serves, ask it once.

Whatever fails on the way, or is interrupted, what was made for it is removed.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone

from tfserve.defaults import GRPC_PORT, REST_PORT, EngineChoice
from tfserve.engines.base import Engine, Server, changed_elsewhere, name_taken
from tfserve.engines.choice import begin_look, choose_engine
from tfserve.errors import EngineUnavailableError, NameTakenError, PortTakenError, TfserveError, UsageError, option
from tfserve.host import ports
from tfserve.host.server_lock import turn
from tfserve.interrupts import held
from tfserve.models.bucket_credentials import find_credentials
from tfserve.models.saved_model import ModelDirectory, reader_of
from tfserve.plan.container import container_plan
from tfserve.plan.engine_facts import EngineFacts
from tfserve.plan.launch_plan import HostPorts, LaunchPlan
from tfserve.plan.preflight import check_spec
from tfserve.progress import Progress
from tfserve.readiness import wait_until_ready
from tfserve.replacing import own_ports, place_of, servers_named
from tfserve.smoke_test import SmokeTest, smoke_test
from tfserve.spec.serve import LaunchOptions, PortRequest, ServeSpec
from tfserve.spec.server_flags import flag_digests

__all__ = ["LaunchOptions", "Launched", "choose_port", "launch", "make_plan", "restart"]

_ATTEMPTS = 4


@dataclass(frozen=True)
class Launched:
    """A server that serves, the engine that runs it, and what its smoke test found; None when there was none."""

    engine: Engine
    server: Server
    smoke_test: SmokeTest | None


def launch(spec: ServeSpec, options: LaunchOptions, progress: Progress) -> Launched:
    """Starts the server that `spec` asks for, and returns when it serves.

    Raises:
        TfserveError: a subclass for each way to fail; then no server is left, unless a failed one is to be kept.
        KeyboardInterrupt: somebody interrupted; no server is left.
    """
    look = begin_look(spec, options.engine)
    directories = check_spec(spec, options.engine, progress)
    if not options.replace and servers_named(spec.name):
        raise name_taken(spec.name)
    engine, gpu = choose_engine(spec, options.engine, options.pull, progress, look)
    if not options.replace:
        return _launch_on_free_ports(spec, directories, engine, gpu, options, progress)
    with turn(spec.name, progress):
        old = servers_named(spec.name)
        if old:  # what would fail is to fail while it still runs
            engine.plan(spec, directories, _ports_asked(spec, engine, own_ports(old)), gpu=gpu)
        with place_of(old, progress):
            try:
                return _launch_on_free_ports(spec, directories, engine, gpu, options, progress)
            except NameTakenError:
                raise changed_elsewhere(spec.name) from None


def restart(engine: Engine, server: Server, *, wait_seconds: float, progress: Progress) -> Server:
    """Starts a stopped or paused server again, and returns when it serves. One that fails stays, with its log."""
    since = None if server.state == "paused" else datetime.now(timezone.utc)
    started = engine.start(server)
    if wait_seconds:
        with progress.waiting() as on_wait:
            wait_until_ready(engine, started, seconds=wait_seconds, since=since, on_wait=on_wait)
    return started


def make_plan(spec: ServeSpec, choice: EngineChoice, progress: Progress, *, replace: bool = False) -> LaunchPlan:
    """Plans what `launch` would start, and changes nothing. A plan for Docker can be had without Docker.

    Args:
        spec: what was asked for.
        choice: which engine was asked for.
        progress: told what goes on.
        replace: whether it would take the place of a server of the same name, and so that server's ports.
    """
    own = own_ports(servers_named(spec.name)) if replace else frozenset()
    look = begin_look(spec, choice)
    directories = check_spec(spec, choice, progress)
    try:
        engine, gpu = choose_engine(spec, choice, None, progress, look)
    except EngineUnavailableError as error:
        if choice != "docker" or not spec.models:
            raise
        progress.notice(f"{error.message} This is the line for an engine with the usual settings.")
        plan = container_plan(
            spec,
            directories,
            _choose_ports(spec, None, set(), progress, own),
            engine=EngineFacts(),
            gpu=bool(spec.wants_gpu),
            user=reader_of(directories),
            credentials=find_credentials(model.path for model in spec.models),
            flag_files=flag_digests(spec.server_flags),
        )
    else:
        plan = engine.plan(spec, directories, _choose_ports(spec, engine, set(), progress, own), gpu=gpu)
    if missing := [name for name, value in plan.secrets.items() if os.environ.get(name) != value]:
        progress.notice(f"The line takes {', '.join(missing)} from the shell's environment: export them there first.")
    return plan


def _launch_on_free_ports(
    spec: ServeSpec,
    directories: Sequence[ModelDirectory],
    engine: Engine,
    gpu: bool,
    options: LaunchOptions,
    progress: Progress,
) -> Launched:
    """Launches on the ports asked for; a default port that somebody takes at the last moment moves like any other."""
    taken: set[int] = set()
    for attempts_left in reversed(range(_ATTEMPTS)):
        host_ports = _choose_ports(spec, engine, taken, progress)
        plan = engine.plan(spec, directories, host_ports, gpu=gpu)
        if any(port and port.host != spec.host for port in (plan.rest, plan.grpc)):
            progress.notice("tensorflow_model_server listens on every interface: the network can reach this server.")
        try:
            return _launch_plan(plan, engine, options, progress)
        except PortTakenError:
            if not attempts_left or (spec.rest_port.explicit and spec.grpc_port.explicit):
                raise
            taken.update(port for port in (host_ports.rest, host_ports.grpc) if port)
        finally:
            ports.release((host_ports.rest, host_ports.grpc))
    raise AssertionError("the last attempt returns or raises")


def _launch_plan(plan: LaunchPlan, engine: Engine, options: LaunchOptions, progress: Progress) -> Launched:
    """Starts a plan and sees it serve; a server that does not is removed, unless it is to be kept."""
    server: Server | None = None
    try:
        with held():
            server = engine.launch(plan)
        return Launched(engine, server, _see_it_serve(engine, server, options, progress))
    except BaseException as error:
        kept = options.keep_failed and isinstance(error, TfserveError) and not isinstance(error, PortTakenError)
        if server is not None and not kept:
            with held(), suppress(TfserveError):
                engine.remove(server)
        raise


def _choose_ports(
    spec: ServeSpec, engine: Engine | None, taken: set[int], progress: Progress, own: Collection[int] = ()
) -> HostPorts:
    """Decides on the host ports of REST and gRPC for a server of `engine`; None is a Docker Engine of this machine.

    Those in `own` are free, or will be.
    """
    shared = engine is None or engine.shares_ports
    _check_host(spec, shared)
    rest_port = choose_port("REST", spec.rest_port, spec.host, shared, taken, progress, own)
    others = taken | ({rest_port} if rest_port else set())
    return HostPorts(rest_port, choose_port("gRPC", spec.grpc_port, spec.host, shared, others, progress, own))


def _ports_asked(spec: ServeSpec, engine: Engine, own: Collection[int]) -> HostPorts:
    """The ports that `spec` asks for, of which those asked for by number can be had; see `_choose_ports`."""
    _check_host(spec, engine.shares_ports)
    for api, request in (("REST", spec.rest_port), ("gRPC", spec.grpc_port)):
        number = request.number
        known = engine.shares_ports and request.explicit and number not in own
        if number and known and not ports.is_free(spec.host, number):
            raise _port_taken(api, number, spec.host)
    return HostPorts(spec.rest_port.number, spec.grpc_port.number)


def _check_host(spec: ServeSpec, shared: bool) -> None:
    if shared and not ports.is_local(spec.host):
        raise UsageError(
            f"{spec.host} is not an address of this machine.",
            hint="Publish on 127.0.0.1 for this machine alone, or on 0.0.0.0 for every network.",
            about=("host",),
        )


def choose_port(
    api: str,
    request: PortRequest,
    host: str,
    shared: bool,
    taken: set[int],
    progress: Progress,
    own: Collection[int] = (),
) -> int | None:
    """Decides on the host port of one API; `shared` says whether it is one of this machine."""
    number = request.number
    if number is None:
        return None
    if number and number not in taken and (number in own or _can_have(number, request, host, shared)):
        return number
    if number and request.explicit:
        raise _port_taken(api, number, host)
    free = _any_free_port(host, taken) if shared else 0
    if number:
        progress.notice(f"Port {number} is taken; {api} is on {free or 'another one'}.")
    return free


def _any_free_port(host: str, taken: set[int]) -> int:
    """A free port of this server's own: the system may well name the one it has just named to another."""
    while True:
        port = ports.any_free_port(host)
        if port == 0 or (port not in taken and ports.claim(port)):
            return port


def _port_taken(api: str, number: int, host: str) -> PortTakenError:
    return PortTakenError(
        f"Port {number} on {host} is taken by another program.",
        hint=f"Choose another {option(f'--{api.lower()}-port')}; 0 takes any free one.",
        doctor=number in (GRPC_PORT, REST_PORT),
        about=(f"{api.lower()}_port",),
    )


def _can_have(number: int, request: PortRequest, host: str, shared: bool) -> bool:
    """Whether a port is free; a default one also of the other servers that this process is starting."""
    if not request.explicit and not ports.claim(number):
        return False
    free = not shared or ports.is_free(host, number)
    if not free and not request.explicit:
        ports.release([number])
    return free


def _see_it_serve(engine: Engine, server: Server, options: LaunchOptions, progress: Progress) -> SmokeTest | None:
    if not options.wait_seconds:
        return None
    with progress.waiting() as on_wait:
        wait_until_ready(engine, server, seconds=options.wait_seconds, on_wait=on_wait)
        if not options.smoke_test:
            return None
        on_wait("Asking it once")
        return smoke_test(server, options.smoke_request, progress)

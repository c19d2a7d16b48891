"""Gathers the facts for ``tfserve doctor`` in parallel, each with a timeout."""

from __future__ import annotations

import os
import shutil
import socket
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError  # the built-in one from Python 3.11 on
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tfserve.defaults import GRPC_PORT, HOST, REST_PORT
from tfserve.doctor.background import in_background
from tfserve.doctor.facts import EngineAnswer, Facts, Registry, StateDirectory
from tfserve.doctor.local_probe import LocalProbe
from tfserve.errors import EngineUnavailableError, NotPrivateError, TfserveError, reason
from tfserve.gpu.machine import Host
from tfserve.host.deadline import Deadline, TimedResponse
from tfserve.host.landlock import landlock_abi
from tfserve.host.ports import is_free
from tfserve.host.programs import find_program
from tfserve.spec.image import HUB_HOST, OFFICIAL_REPOSITORY

__all__ = ["gather"]

T = TypeVar("T")

_HUB_URL = f"https://{HUB_HOST}"
_NO_PROXY = {"http": "", "https": "", "all": ""}  # also overrides the proxies in the environment
_MAX_ANSWER_BYTES = 2**20
_EMULATOR = Path("/proc/sys/fs/binfmt_misc/qemu-x86_64")


def gather(seconds: float) -> Facts:
    """Gathers all facts; each probe may take this many `seconds`. The registry is probed once the engine is known."""
    from tfserve.engines.docker.config import config_file, config_problems

    host, local = Host(probe_gpus=True, seconds=seconds), LocalProbe(seconds)
    asking, state, deadline = in_background(_ask_engine), in_background(_state_directory), time.monotonic() + seconds
    engine = _engine(asking, seconds)
    url = _registry_of(engine) if isinstance(engine, EngineAnswer) and engine.facts.host is None else None
    config = config_file()
    registry = in_background(partial(_ask_registry, url, _proxies(engine), seconds)) if url else None
    registry_deadline = time.monotonic() + seconds
    return Facts(
        system=host.system,
        docker_command=find_program("docker"),
        context=_context(),
        engine=engine,
        proxies=host.proxies,
        taken=tuple(port for port in (GRPC_PORT, REST_PORT) if not is_free(HOST, port)),
        local=local.runtime(),
        state=_result(state, deadline, StateDirectory("", failure="its file system does not respond")),
        landlock=landlock_abi(),
        config=None if config is None else str(config),
        config_problems=tuple(config_problems()),
        avx=_has_avx(),
        emulates=_EMULATOR.exists(),
        gpus=host.gpus(),
        registry=_result(registry, registry_deadline, Registry(url, "timeout")) if registry and url else None,
    )


def _ask_engine() -> EngineAnswer:
    """Requests information from the Docker Engine.

    Raises:
        TfserveError: the engine does not respond, or refuses this user.
    """
    from tfserve.engines.docker.client import connect, docker_errors, endpoint, mirrors_in
    from tfserve.engines.docker.engine import DockerEngine
    from tfserve.engines.docker.translate import engine_facts

    where = endpoint()
    engine = DockerEngine(connect())
    with docker_errors():
        info = engine.client.info()
        images = engine.client.images(name=OFFICIAL_REPOSITORY)
        facts = engine_facts(info, engine.host)
        root = Path(info.get("DockerRootDir") or "/")
        return EngineAnswer(
            endpoint=where,
            version=str(info.get("ServerVersion")),
            api=str(engine.client.api_version),
            facts=facts,
            mirrors=mirrors_in(info),
            proxy=str(info.get("HttpsProxy") or info.get("HttpProxy") or ""),
            no_proxy=str(info.get("NoProxy") or ""),
            images=tuple(sorted(str(tag) for image in images for tag in image.get("RepoTags") or ())),
            free=_free(root) if facts.host is None and not facts.desktop else None,
        )


def _engine(asking: Future[EngineAnswer], seconds: float) -> EngineAnswer | TfserveError:
    try:
        return asking.result(seconds)
    except TfserveError as error:
        return error
    except FutureTimeoutError:
        from tfserve.engines.docker.client import endpoint, hangs

        return hangs(endpoint(), seconds)


def _result(probe: Future[T], deadline: float, default: T) -> T:
    """Waits for the result of a probe until the deadline; returns `default` if it takes longer."""
    try:
        return probe.result(max(0.0, deadline - time.monotonic()))
    except FutureTimeoutError:
        return default


def _context() -> str:
    if os.environ.get("DOCKER_HOST"):
        return "DOCKER_HOST"
    from docker.context.config import get_current_context_name

    return f"context {os.environ.get('DOCKER_CONTEXT') or get_current_context_name() or 'default'}"


def _registry_of(engine: EngineAnswer) -> str:
    """Returns the registry that the engine contacts first."""
    return next(iter(engine.mirrors), _HUB_URL)


def _proxies(engine: EngineAnswer | TfserveError) -> dict[str, str]:
    """Returns the engine's own proxy settings for a registry; those of this environment do not apply to it."""
    if not isinstance(engine, EngineAnswer) or not engine.proxy:
        return dict(_NO_PROXY)
    proxy = engine.proxy if "://" in engine.proxy else f"http://{engine.proxy}"
    exempt = ",".join(
        filter(None, (engine.no_proxy, "localhost,127.0.0.1,::1"))
    )  # Go never uses a proxy for the last three
    return {"http": proxy, "https": proxy, "no_proxy": exempt}


def _ask_registry(url: str, proxies: dict[str, str], seconds: float) -> Registry:
    """Sends a request to a registry in the same way as the engine; a registry that requires a login also responds."""
    import requests

    from tfserve.host.http_adapter import TimedAdapter

    def response(connected: socket.socket, **options: Any) -> TimedResponse:
        return TimedResponse(connected, deadline=Deadline(seconds, _MAX_ANSWER_BYTES), **options)

    try:
        if requests.utils.should_bypass_proxies(url, proxies.get("no_proxy")):
            proxies = dict(_NO_PROXY)
        with requests.Session() as session:
            for scheme in ("http://", "https://"):
                session.mount(scheme, TimedAdapter(response))
            address = f"{url.rstrip('/')}/v2/"
            with session.get(address, proxies=proxies, timeout=seconds, stream=True, allow_redirects=False) as answer:
                status = answer.status_code
    except requests.Timeout:
        return Registry(url, f"timeout after {seconds:g} s")
    except (requests.RequestException, OSError, ValueError) as error:
        return Registry(url, reason(error))
    return Registry(url, None if status in (200, 301, 302, 307, 308, 401) else f"HTTP {status}")


def _state_directory() -> StateDirectory:
    from tfserve.engines.local.state import servers_root

    try:
        root = servers_root()
    except (EngineUnavailableError, NotPrivateError) as error:
        return StateDirectory("", failure=error.message.rstrip("."))
    try:
        existing = next(path for path in (root, *root.parents) if path.exists())
    except OSError as error:  # no permission for a parent directory
        return StateDirectory(str(root), failure=f"{root} cannot be accessed ({error.strerror})")
    free = _free(existing)
    failure = None if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK) else f"{existing} cannot be written"
    if failure is None and not free:
        failure = f"no space is left in {existing}"
    return StateDirectory(str(root), free or 0, failure)


def _free(path: Path) -> int | None:
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def _has_avx() -> bool | None:
    try:
        cpu = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return None
    flags = next((line for line in cpu.splitlines() if line.startswith("flags")), None)
    return None if flags is None else "avx" in flags.split()

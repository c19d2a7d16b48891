"""The facts that ``tfserve doctor`` judges, gathered side by side, each within its time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tfserve.defaults import GRPC_PORT, HOST, REST_PORT
from tfserve.doctor.bounded import Bounded
from tfserve.errors import EngineUnavailableError, TfserveError, reason
from tfserve.gpu import GpuFacts, Look
from tfserve.images import HUB_HOST, OFFICIAL_REPOSITORY
from tfserve.ports import is_free
from tfserve.system import System, this_system

if TYPE_CHECKING:
    from tfserve.engine_facts import EngineFacts

__all__ = ["EngineAnswer", "Facts", "LocalRuntime", "Registry", "StateDirectory", "ask_engine", "gather"]

T = TypeVar("T")

_HUB_URL = f"https://{HUB_HOST}"
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")
_EMULATOR = Path("/proc/sys/fs/binfmt_misc/qemu-x86_64")


@dataclass(frozen=True)
class EngineAnswer:
    """What a Docker Engine says of itself.

    Attributes:
        endpoint: its address.
        version: its version.
        api: the version of its API that is spoken with it.
        facts: what a plan has to know of it.
        mirrors: the registries that it asks before Docker Hub.
        proxy: its own proxy; empty for none.
        images: the names of the serving images that it has.
        free: bytes that are free on its disk; None where that cannot be seen from here.
    """

    endpoint: str
    version: str
    api: str
    facts: EngineFacts
    mirrors: tuple[str, ...] = ()
    proxy: str = ""
    images: tuple[str, ...] = ()
    free: int | None = None


@dataclass(frozen=True)
class Registry:
    """How a registry answered: its address, and why it did not; None when it did."""

    url: str
    failure: str | None = None


@dataclass(frozen=True)
class LocalRuntime:
    """What serves without a container: the program's or TensorFlow's name and version; None with what it lacks."""

    found: str | None
    lacks: str = ""


@dataclass(frozen=True)
class StateDirectory:
    """Where local servers are kept: the path, bytes that are free there, and why it cannot be written, if so."""

    path: str
    free: int = 0
    failure: str | None = None


@dataclass(frozen=True)
class Facts:
    """All that was seen.

    Attributes:
        system: the operating system.
        docker_command: the path of the ``docker`` command; None without one.
        context: which docker context is the current one, or that DOCKER_HOST takes its place.
        engine: what the Docker Engine says of itself, or why it says nothing.
        registry: whether the registry answers; None when nobody was to ask it.
        gpus: the GPUs of this machine.
        proxies: the proxy settings of this environment, by their names in lower case.
        taken: those of the default ports that other programs listen on.
        local: what serves without a container.
        state: where its servers are kept.
        avx: whether this machine's CPU has AVX; None where that is not known.
        emulates: whether this machine's kernel runs programs for amd64 through an emulator.
    """

    system: System
    docker_command: str | None
    context: str
    engine: EngineAnswer | TfserveError
    registry: Registry | None
    gpus: GpuFacts
    proxies: Mapping[str, str] = field(default_factory=dict)
    taken: tuple[int, ...] = ()
    local: LocalRuntime = LocalRuntime(None)
    state: StateDirectory = StateDirectory("")
    avx: bool | None = None
    emulates: bool = False


def gather(seconds: float) -> Facts:
    """Looks at everything, at each thing for so many `seconds` at most; at the registry once the engine is known."""
    look = Look(seconds)
    asking = Bounded(ask_engine, seconds)
    local, state = Bounded(_local_runtime, seconds), Bounded(_state_directory, seconds)
    engine = _engine(asking)
    pulls_from_here = isinstance(engine, EngineAnswer) and engine.facts.host is None
    registry = Bounded(lambda: _ask_registry(engine, seconds), seconds) if pulls_from_here else None
    return Facts(
        system=this_system(),
        docker_command=shutil.which("docker"),
        context=_context(),
        engine=engine,
        proxies={name: value for name in _PROXIES if (value := os.environ.get(name) or os.environ.get(name.upper()))},
        taken=tuple(port for port in (GRPC_PORT, REST_PORT) if not is_free(HOST, port)),
        local=_within(local, LocalRuntime(None, "an answer in time")),
        state=_within(state, StateDirectory("", failure="Its file system does not answer")),
        avx=_has_avx(),
        emulates=_EMULATOR.exists(),
        gpus=look.facts(),
        registry=_within(registry, Registry(_HUB_URL, "no answer in time")) if registry else None,
    )


def ask_engine() -> EngineAnswer:
    """Asks the Docker Engine for what it is.

    Raises:
        TfserveError: it does not answer, or not to this user.
    """
    from tfserve.engines.docker import DockerEngine, engine_facts
    from tfserve.engines.docker_client import connect, docker_errors, endpoint

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
        mirrors=tuple((info.get("RegistryConfig") or {}).get("Mirrors") or ()),
        proxy=str(info.get("HttpsProxy") or info.get("HttpProxy") or ""),
        images=tuple(sorted(tag for image in images for tag in image.get("RepoTags") or ())),
        free=_free(root) if facts.host is None and not facts.desktop else None,
    )


def _engine(asking: Bounded[EngineAnswer]) -> EngineAnswer | TfserveError:
    try:
        return asking.result()
    except TfserveError as error:
        return error
    except TimeoutError as error:
        return EngineUnavailableError(f"The Docker Engine hangs: {error}.", hint=this_system().restart_docker)


def _within(work: Bounded[T], otherwise: T) -> T:
    try:
        return work.result()
    except TimeoutError:
        return otherwise


def _context() -> str:
    if os.environ.get("DOCKER_HOST"):
        return "DOCKER_HOST"
    from docker.context.config import get_current_context_name

    return f"context {os.environ.get('DOCKER_CONTEXT') or get_current_context_name()}"


def _ask_registry(engine: EngineAnswer | TfserveError, seconds: float) -> Registry:
    """Asks the registry that this engine asks first, whether it is there; it need not let anybody in."""
    import requests

    url = next(iter(engine.mirrors), _HUB_URL) if isinstance(engine, EngineAnswer) else _HUB_URL
    try:
        answer = requests.get(f"{url.rstrip('/')}/v2/", timeout=seconds)
    except requests.RequestException as error:
        return Registry(url, reason(error))
    return Registry(url, None if answer.status_code in (200, 401) else f"it answers {answer.status_code}")


def _local_runtime() -> LocalRuntime:
    from importlib.metadata import PackageNotFoundError, version

    from tfserve.engines.local_runtime import OFFICIAL, missing

    if official := shutil.which(OFFICIAL):
        return LocalRuntime(official)
    if lacks := missing():
        return LocalRuntime(None, ", ".join(lacks))
    for package in ("tensorflow-cpu", "tensorflow"):
        with suppress(PackageNotFoundError):
            return LocalRuntime(f"TensorFlow {version(package)}")
    return LocalRuntime("TensorFlow")


def _state_directory() -> StateDirectory:
    from tfserve.engines.local_state import servers_root

    try:
        root = servers_root()
    except EngineUnavailableError as error:
        return StateDirectory("", failure=error.message.rstrip("."))
    there = next(path for path in (root, *root.parents) if path.exists())
    failure = None if there.is_dir() and os.access(there, os.W_OK | os.X_OK) else f"{there} cannot be written"
    return StateDirectory(str(root), _free(there) or 0, failure)


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

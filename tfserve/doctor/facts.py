"""The facts that ``tfserve doctor`` judges, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tfserve.errors import TfserveError
from tfserve.gpu.probe import GpuFacts
from tfserve.host.system import System

if TYPE_CHECKING:
    from tfserve.plan.engine_facts import EngineFacts

__all__ = ["Check", "EngineAnswer", "Facts", "LocalRuntime", "Registry", "StateDirectory", "Status"]


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
        no_proxy: the hosts that it goes to without one.
        images: the names of the serving images that it has.
        free: bytes that are free on its disk; None where that cannot be seen from here.
    """

    endpoint: str
    version: str
    api: str
    facts: EngineFacts
    mirrors: tuple[str, ...] = ()
    proxy: str = ""
    no_proxy: str = ""
    images: tuple[str, ...] = ()
    free: int | None = None


@dataclass(frozen=True)
class Registry:
    """How a registry answered: its address, and why it did not; None when it did."""

    url: str
    failure: str | None = None


@dataclass(frozen=True)
class LocalRuntime:
    """What serves without a container.

    Attributes:
        found: the program or library, and its version; None when it cannot serve.
        lacks: what is not installed that it needs.
        broken: what is wrong with what is installed, as a sentence.
    """

    found: str | None
    lacks: str = ""
    broken: str = ""


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
        config: the configuration file of the docker command; None where there is none.
        doubts: what is wrong with that, in sentences.
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
    config: str | None = None
    doubts: tuple[str, ...] = ()
    avx: bool | None = None
    emulates: bool = False


Status = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what it is, in one word with hyphens.
        status: whether it is ready; ``warn`` where serving goes on without it.
        detail: what was seen.
        hint: the next command, or the page to read; None where nothing needs to be done.
    """

    name: str
    status: Status
    detail: str
    hint: str | None = None

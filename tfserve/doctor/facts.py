"""The facts that ``tfserve doctor`` gathers, and the checks it makes of them, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tfserve.errors import TfserveError, Wording
from tfserve.gpu.probe import GpuFacts
from tfserve.host.system import System

if TYPE_CHECKING:
    from tfserve.plan.engine_facts import EngineFacts

__all__ = ["Check", "EngineAnswer", "Facts", "LocalRuntime", "Registry", "StateDirectory", "Status"]

Status = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: the subject of the check, in lower case with hyphens.
        status: the result; ``warn`` for problems that do not prevent serving.
        detail: what was found.
        hint: the next command to run, or the page to read; None if there is nothing to do.
    """

    name: str
    status: Status
    detail: str | Wording
    hint: str | Wording | None = None


@dataclass(frozen=True)
class EngineAnswer:
    """What a Docker Engine reports about itself.

    Attributes:
        endpoint: the address of the engine.
        version: the version of the engine.
        api: the version of its API that tfserve uses.
        facts: the facts that a launch plan depends on.
        mirrors: the registry mirrors that it uses before Docker Hub.
        proxy: the engine's own proxy; empty for none.
        no_proxy: the hosts that the engine reaches without a proxy.
        images: the names of the official serving images it has.
        free: the free space on its disk in bytes; None if the disk is not on this machine.
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
    """The address of a registry, and why it did not respond; None if it did."""

    url: str
    failure: str | None = None


@dataclass(frozen=True)
class LocalRuntime:
    """The model server that runs without a container.

    Attributes:
        found: the program or library, and its version; None if it cannot serve.
        missing: the required packages that are not installed.
        broken: why the installed program does not work, as a sentence.
    """

    found: str | None
    missing: str = ""
    broken: str = ""


@dataclass(frozen=True)
class StateDirectory:
    """The directory for local servers: its path, the free space in bytes, and why it cannot be written, if so."""

    path: str
    free: int = 0
    failure: str | None = None


@dataclass(frozen=True)
class Facts:
    """All facts about this machine.

    Attributes:
        system: the operating system.
        docker_command: the path of the ``docker`` command; None if it is not installed.
        context: the current docker context, or DOCKER_HOST if that is set.
        engine: the answer of the Docker Engine, or the error of connecting to it.
        registry: the answer of the registry; None if it was not contacted.
        gpus: the GPUs of this machine.
        proxies: the proxy variables in the environment, by their names in lower case.
        taken: the default ports that other programs listen on.
        local: the model server that runs without a container.
        state: the directory for local servers.
        landlock: the version of Landlock's interface that the kernel has; 0 if it has none.
        config: the configuration file of the docker command; None if there is none.
        config_problems: the problems with that file, in sentences.
        avx: whether the CPU supports AVX; None if that is not known.
        emulates: whether the kernel runs programs for amd64 through an emulator.
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
    landlock: int = 0
    config: str | None = None
    config_problems: tuple[str, ...] = ()
    avx: bool | None = None
    emulates: bool = False

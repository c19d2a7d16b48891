"""Prepares and plans a development container: its GPU, image and port."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex

from tfserve.defaults import HOST, PullPolicy
from tfserve.engines.docker.engine import DockerEngine
from tfserve.engines.docker.images import find_image
from tfserve.engines.docker.prepare import require_gpus
from tfserve.engines.docker.pull import ensure_image
from tfserve.gpu.cuda import cuda_of
from tfserve.gpu.machine import Host
from tfserve.plan.engine_facts import NVIDIA_RUNTIME, EngineFacts
from tfserve.plan.launch_plan import LaunchPlan, Mount, PublishedPort
from tfserve.progress import Progress
from tfserve.servers.ports import PortChooser
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.image import GRPC_PORT, SOURCE_ROOT, ImageReference
from tfserve.spec.port_request import PortRequest
from tfserve.spec.values import check_platform

__all__ = ["SHELL", "DevelSpec", "devel_plan", "prepare"]


SHELL = ("/bin/bash",)  # the default command of the development images


@dataclass(frozen=True)
class DevelSpec:
    """The development container that the user wants to run.

    Attributes:
        image: a development image.
        grpc_port: the host port for gRPC.
        command: the command to run; empty for the default command of the image, a shell.
        source: an absolute directory to mount over the sources in the image, with write access; None for no mount.
        platform: the platform of the image; None for the engine's own.
        host: the address to publish the gRPC port on.
        gpu: whether the container gets a GPU.
        terminal: whether the container gets a terminal, so that Ctrl-C must also stop commands other than a shell.
    """

    image: ImageReference
    grpc_port: PortRequest
    command: tuple[str, ...] = ()
    source: Path | None = None
    platform: str | None = None
    host: str = HOST
    gpu: bool = False
    terminal: bool = False

    def __post_init__(self) -> None:
        """Checks what does not depend on the machine."""
        check_platform(self.platform)


def prepare(engine: DockerEngine, spec: DevelSpec, pull: PullPolicy, host: Host, progress: Progress) -> LaunchPlan:
    """Plans the container for `spec` under a new name, and pulls its image if necessary.

    Raises:
        GpuError: a GPU was requested, but cannot be used.
        ImageError: the image cannot be pulled.
        PortTakenError: another program listens on the requested port.
    """
    if spec.gpu:
        require_gpus(engine.facts, cuda_of(spec.image), host, progress)
    ensure_image(engine, spec.image, spec.platform, pull, progress)
    command = spec.command or _own_command(engine, spec)
    with PortChooser(spec.host, shared=engine.shares_ports, progress=progress) as chooser:
        port = chooser.choose_one("grpc", spec.grpc_port)
    return devel_plan(f"devel-{token_hex(3)}", replace(spec, command=command), engine.facts, grpc_port=port)


def _own_command(engine: DockerEngine, spec: DevelSpec) -> tuple[str, ...]:
    """Returns the default command of the image; a shell if it has none, or if it is only arguments of an entrypoint."""
    image = find_image(engine.client, spec.image, spec.platform)
    return SHELL if image is None or image.entrypoint or not image.command else image.command


def devel_plan(name: str, spec: DevelSpec, engine: EngineFacts, *, grpc_port: int | None) -> LaunchPlan:
    """Plans a development container. It runs as root, which compilers and package managers expect.

    Args:
        name: the name of the container.
        spec: the container that the user wants to run.
        engine: the facts about the engine.
        grpc_port: the host port for gRPC; None to publish no port.
    """
    runtime = NVIDIA_RUNTIME if spec.gpu and NVIDIA_RUNTIME in engine.runtimes else None
    return LaunchPlan(
        name=name,
        models=(),
        mounts=() if spec.source is None else (Mount(str(spec.source), SOURCE_ROOT, read_only=False),),
        rest=None,
        grpc=None if grpc_port is None else PublishedPort(GRPC_PORT, spec.host, grpc_port),
        environment=GpuRequest().environment if runtime else {},
        command=spec.command,
        gpu=spec.gpu,
        image=str(spec.image),
        platform=spec.platform,
        init=spec.terminal,  # without an init process, the engine reports a missing command
        security_options=("label=disable",) if engine.selinux and spec.source is not None else (),
        runtime=runtime,
        gpus=GpuRequest().option if spec.gpu and not runtime else None,
    )

"""Makes ready what a development container needs: its GPU, its image, its port."""

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
from tfserve.plan.engine_facts import NVIDIA_RUNTIME, EngineFacts
from tfserve.plan.launch_plan import LaunchPlan, PublishedPort
from tfserve.plan.mounts import Mount
from tfserve.progress import Progress
from tfserve.servers.ports import PortChooser
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.image import GRPC_PORT, SOURCE_ROOT, ImageReference
from tfserve.spec.port_request import PortRequest
from tfserve.spec.values import check_platform

__all__ = ["SHELL", "DevelSpec", "devel_plan", "prepare"]


def prepare(engine: DockerEngine, spec: DevelSpec, pull: PullPolicy, progress: Progress) -> LaunchPlan:
    """Plans the container that `spec` asks for, under a new name; the engine has its image afterwards.

    Raises:
        GpuError: a GPU was asked for, and cannot be had.
        ImageError: the image cannot be had.
        PortTakenError: another program listens on the port that was asked for.
    """
    if spec.gpu:
        require_gpus(engine.facts, cuda_of(spec.image), progress)
    ensure_image(engine, spec.image, spec.platform, pull, progress)
    command = spec.command or _own_command(engine, spec)
    with PortChooser(spec.host, shared=engine.shares_ports, progress=progress) as chooser:
        port = chooser.choose_one("grpc", spec.grpc_port)
    return devel_plan(f"devel-{token_hex(3)}", replace(spec, command=command), engine.facts, grpc_port=port)


def _own_command(engine: DockerEngine, spec: DevelSpec) -> tuple[str, ...]:
    """What the image runs by itself; a shell where that would only be more flags for its entrypoint, or is nothing."""
    image = find_image(engine.client, spec.image, spec.platform)
    return SHELL if image is None or image.entrypoint or not image.command else image.command


SHELL = ("/bin/bash",)  # what the development images run by themselves


@dataclass(frozen=True)
class DevelSpec:
    """A development container as somebody asked for it.

    Attributes:
        image: a development image.
        grpc_port: which host port of gRPC.
        command: what it runs; nothing for the image's own command, a shell.
        source: an absolute directory that is to be where the image has its sources, and that it may write to.
        platform: the image's platform; None for the engine's own.
        host: the address to publish the gRPC port on.
        gpu: whether it gets a GPU.
        terminal: whether somebody types there, so that Ctrl-C has to end what is no shell.
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
        """Checks what can be checked without looking at the machine."""
        check_platform(self.platform)


def devel_plan(name: str, spec: DevelSpec, engine: EngineFacts, *, grpc_port: int | None) -> LaunchPlan:
    """Plans a container to develop in. It is root's, as compilers and package managers want it.

    Args:
        name: its name.
        spec: what was asked for.
        engine: what is true of the engine.
        grpc_port: the host port that gRPC gets; None to publish nothing.
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
        init=spec.terminal,  # without one, the engine itself says that there is no such command
        security_options=("label=disable",) if engine.selinux and spec.source is not None else (),
        runtime=runtime,
        gpus=GpuRequest().option if spec.gpu and not runtime else None,
    )

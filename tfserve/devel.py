"""Plans development containers: TensorFlow Serving's sources and all that builds them, as its guide uses them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tfserve.engine_facts import NVIDIA_RUNTIME, EngineFacts
from tfserve.gpu_request import GpuRequest
from tfserve.images import GRPC_PORT, SOURCE_ROOT, ImageReference
from tfserve.plan import LaunchPlan, Mount, PublishedPort

__all__ = ["devel_plan"]


def devel_plan(
    name: str,
    image: ImageReference,
    command: Sequence[str],
    *,
    engine: EngineFacts,
    host: str,
    grpc_port: int | None,
    source: Path | None = None,
    platform: str | None = None,
    gpu: bool = False,
    terminal: bool = False,
) -> LaunchPlan:
    """Plans a container to develop in. It is root's, as compilers and package managers want it.

    Args:
        name: its name.
        image: a development image.
        command: what it runs; nothing for the image's own command, a shell.
        engine: what is true of the engine.
        host: the address to publish the gRPC port on.
        grpc_port: the port of `host`; None to publish nothing.
        source: an absolute directory that is to be where the image has its sources, and that it may write to.
        platform: the image's platform; None for the engine's own.
        gpu: whether it gets a GPU.
        terminal: whether somebody types there, so that Ctrl-C has to end what is no shell.
    """
    runtime = NVIDIA_RUNTIME if gpu and NVIDIA_RUNTIME in engine.runtimes else None
    return LaunchPlan(
        name=name,
        models=(),
        mounts=() if source is None else (Mount(str(source), SOURCE_ROOT, read_only=False),),
        rest=None,
        grpc=None if grpc_port is None else PublishedPort(GRPC_PORT, host, grpc_port),
        environment=GpuRequest().environment if runtime else {},
        command=tuple(command),
        gpu=gpu,
        image=str(image),
        platform=platform,
        init=terminal,  # without one, the engine itself says that there is no such command
        security_options=("label=disable",) if engine.selinux and source is not None else (),
        runtime=runtime,
        gpus=GpuRequest().option if gpu and not runtime else None,
    )

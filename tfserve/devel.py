"""Makes ready what a development container needs: its GPU, its image, its port."""

from __future__ import annotations

from dataclasses import replace
from secrets import token_hex

from tfserve.defaults import PullPolicy
from tfserve.devel_plan import SHELL, DevelSpec, devel_plan
from tfserve.engines.choice import require_gpus
from tfserve.engines.docker.engine import DockerEngine
from tfserve.engines.docker.images import find_image
from tfserve.engines.docker.pull import ensure_image
from tfserve.gpu.cuda import cuda_of
from tfserve.launch import choose_port
from tfserve.plan.launch_plan import LaunchPlan
from tfserve.progress import Progress

__all__ = ["prepare"]


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
    port = choose_port("gRPC", spec.grpc_port, spec.host, engine.shares_ports, set(), progress)
    return devel_plan(f"devel-{token_hex(3)}", replace(spec, command=command), engine.facts, grpc_port=port)


def _own_command(engine: DockerEngine, spec: DevelSpec) -> tuple[str, ...]:
    """What the image runs by itself; a shell where that would only be more flags for its entrypoint, or is nothing."""
    image = find_image(engine.client, spec.image, spec.platform)
    return SHELL if image is None or image.entrypoint or not image.command else image.command

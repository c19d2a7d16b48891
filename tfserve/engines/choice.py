"""Which engine runs a server: the one asked for, else Docker when it can, else a local process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfserve.defaults import HOST, EngineChoice, PullPolicy
from tfserve.engines.base import Engine
from tfserve.engines.docker.client import connect, how_to_start, is_configured, remote_host
from tfserve.engines.docker.engine import DockerEngine
from tfserve.engines.docker.pull import ensure_image
from tfserve.engines.local import runtime as local_runtime
from tfserve.errors import EngineUnavailableError, ImageError, UsageError, Wording
from tfserve.gpu.probe import GpuProbe
from tfserve.plan.engine_facts import EngineFacts
from tfserve.progress import Progress
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.image import ImageReference
from tfserve.spec.serve import ServeSpec

if TYPE_CHECKING:
    from tfserve.gpu.cuda import Cuda

__all__ = ["choose_engine", "require_gpus", "start_probe"]


def start_probe(spec: ServeSpec, choice: EngineChoice) -> GpuProbe | None:
    """Begins to look at the GPUs, if `choose_engine` may have to know of them, while others do something else."""
    return GpuProbe() if choice != "local" and spec.wants_gpu is not False and is_configured() else None


def choose_engine(
    spec: ServeSpec, choice: EngineChoice, pull: PullPolicy | None, progress: Progress, look: GpuProbe | None = None
) -> tuple[Engine, bool]:
    """Chooses the engine for `spec`, and gets it ready: with Docker, the image is there afterwards.

    Args:
        spec: what was asked for.
        choice: which engine was asked for.
        pull: when to pull the image; None to do without one.
        progress: told which engine it is when nobody asked for it by name.
        look: the look at the GPUs, when it has begun.

    Returns:
        The engine, and whether the server is to use a GPU.

    Raises:
        EngineUnavailableError: there is no engine that can be used.
        ImageError: Docker can be used, but has no image, and there is no local engine to take its place.
        GpuError: a GPU was asked for, and there is none.
    """
    from tfserve.engines.local.engine import LocalEngine

    if choice == "local":
        return LocalEngine(), bool(spec.wants_gpu)
    only_docker = choice == "docker" or bool(spec.container_options() or spec.wants_gpu)
    try:
        return _docker(spec, pull, progress, look, sought=only_docker or is_configured())
    except (EngineUnavailableError, ImageError) as error:
        if spec.container_options() or spec.wants_gpu:
            raise
        if only_docker or not local_runtime.is_installed():
            nor = "" if only_docker else " Nor is the local engine installed."
            raise type(error)(
                Wording("{problem}{nor}", problem=error.wording, nor=nor),
                hint=Wording(
                    "{hint}\nOr serve without Docker: {how}",
                    hint=error.hint_wording or how_to_start(),
                    how=local_runtime.how_to_serve(),
                ),
                details=error.details,
                doctor=error.doctor,
            ) from error
        progress.notice(Wording("{problem} Serving with the local engine instead.", problem=error.wording))
        return LocalEngine(), False


def _docker(
    spec: ServeSpec, pull: PullPolicy | None, progress: Progress, look: GpuProbe | None, *, sought: bool
) -> tuple[Engine, bool]:
    if not sought:
        raise EngineUnavailableError("There is no Docker here.")
    client = connect()
    host = remote_host(client)
    if host is not None and spec.host == HOST:
        raise UsageError(
            f"The Docker Engine is on {host}; what it publishes on its 127.0.0.1 cannot be reached from here.",
            hint="Publish on its network with --host 0.0.0.0, if everybody there may use the server.",
        )
    engine = DockerEngine(client)
    gpu = spec.wants_gpu is not False and _uses_gpu(spec, engine.facts, look or GpuProbe(), progress)
    ensure_image(
        engine, ImageReference.parse(spec.image, spec.tag).official_variant(gpu=gpu), spec.platform, pull, progress
    )
    return engine, gpu


def _uses_gpu(spec: ServeSpec, engine: EngineFacts, look: GpuProbe, progress: Progress) -> bool:
    from tfserve.gpu.checks import GpuNeeds
    from tfserve.gpu.choice import uses_gpu
    from tfserve.gpu.cuda import cuda_of
    from tfserve.host.system import this_system

    cuda = cuda_of(ImageReference.parse(spec.image, spec.tag).official_variant(gpu=True))
    needs = GpuNeeds(spec.gpus or GpuRequest(), spec.gpu_memory_fraction, cuda)
    return uses_gpu(spec.wants_gpu, needs, engine, look.facts, this_system(), progress)


def require_gpus(engine: EngineFacts, cuda: Cuda | None, progress: Progress) -> None:
    """Sees to it that a container of `engine` can use the GPUs, all of them, for an image with this CUDA.

    Raises:
        GpuError: it cannot.
    """
    from tfserve.gpu.checks import GpuNeeds
    from tfserve.gpu.choice import uses_gpu
    from tfserve.host.system import this_system

    uses_gpu(True, GpuNeeds(cuda=cuda), engine, GpuProbe().facts, this_system(), progress)

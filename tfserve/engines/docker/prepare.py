"""Prepares a Docker Engine for a server: whether it gets a GPU, and its image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfserve.addresses import is_loopback
from tfserve.defaults import PullPolicy
from tfserve.engines.docker.client import connect
from tfserve.engines.docker.engine import DockerEngine
from tfserve.engines.docker.pull import ensure_image
from tfserve.engines.kinds import Prepared
from tfserve.errors import Attribute, UsageError, Wording
from tfserve.gpu.machine import Host
from tfserve.plan.engine_facts import EngineFacts
from tfserve.progress import Progress
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.image import ImageReference
from tfserve.spec.serve import ServeSpec

if TYPE_CHECKING:
    from tfserve.gpu.cuda import Cuda

__all__ = ["prepare", "require_gpus"]


def prepare(spec: ServeSpec, pull: PullPolicy | None, progress: Progress, host: Host) -> Prepared:
    """Connects to the Docker Engine and prepares it for `spec`; see `EngineKind.prepare`.

    Raises:
        UsageError: the engine is on another machine, and `spec` publishes on the loopback address there.
    """
    engine = DockerEngine(connect())
    if engine.host is not None and is_loopback(spec.host):
        raise UsageError(
            Wording(
                "The Docker Engine is on {machine}; this machine cannot reach ports published on {address} there.",
                machine=engine.host,
                address=spec.host,
            ),
            hint=Wording(
                "Publish on its network with {everywhere}, if everyone there may use the server.",
                everywhere=Attribute("host", "0.0.0.0"),  # noqa: S104
            ),
            about=("host",),
        )
    gpu = spec.wants_gpu is not False and _uses_gpu(spec, engine.facts, host, progress)
    image = ImageReference.parse(spec.image, spec.tag).official_variant(gpu=gpu)
    ensure_image(engine, image, spec.platform, pull, progress)
    return Prepared(engine, gpu)


def _uses_gpu(spec: ServeSpec, engine: EngineFacts, host: Host, progress: Progress) -> bool:
    from tfserve.gpu.checks import GpuNeeds
    from tfserve.gpu.choice import uses_gpu
    from tfserve.gpu.cuda import cuda_of

    cuda = cuda_of(ImageReference.parse(spec.image, spec.tag).official_variant(gpu=True))
    needs = GpuNeeds(spec.gpus or GpuRequest(), spec.gpu_memory_fraction, cuda)
    return uses_gpu(spec.wants_gpu, needs, engine, host, progress)


def require_gpus(engine: EngineFacts, cuda: Cuda | None, host: Host, progress: Progress) -> None:
    """Checks that a container of `engine` can use all GPUs, with an image of this CUDA version.

    Raises:
        GpuError: it cannot.
    """
    from tfserve.gpu.checks import GpuNeeds
    from tfserve.gpu.choice import uses_gpu

    uses_gpu(True, GpuNeeds(cuda=cuda), engine, host, progress)

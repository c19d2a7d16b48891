"""Which engine runs a server: the one asked for, else Docker when it can, else a local process."""

from __future__ import annotations

from tfserve.defaults import HOST, EngineChoice, PullPolicy
from tfserve.engines import local_runtime
from tfserve.engines.base import Engine
from tfserve.engines.docker import DockerEngine
from tfserve.engines.docker_client import connect, is_configured, remote_host
from tfserve.engines.docker_images import find_image, pull_image
from tfserve.errors import EngineUnavailableError, GpuError, ImageError, UsageError
from tfserve.images import ImageReference, serving_image
from tfserve.plan import NVIDIA_RUNTIME
from tfserve.progress import Progress
from tfserve.spec import ServeSpec

__all__ = ["choose_engine", "ensure_image", "uses_gpu"]


def choose_engine(
    spec: ServeSpec, choice: EngineChoice, pull: PullPolicy | None, progress: Progress
) -> tuple[Engine, bool]:
    """Chooses the engine for `spec`, and gets it ready: with Docker, the image is there afterwards.

    Args:
        spec: what was asked for.
        choice: which engine was asked for.
        pull: when to pull the image; None to do without one.
        progress: told which engine it is when nobody asked for it by name.

    Returns:
        The engine, and whether the server is to use a GPU.

    Raises:
        EngineUnavailableError: there is no engine that can be used.
        ImageError: Docker can be used, but has no image, and there is no local engine to take its place.
        GpuError: a GPU was asked for, and there is none.
    """
    from tfserve.engines.local import LocalEngine

    if choice == "local":
        return LocalEngine(), bool(spec.gpu)
    only_docker = choice == "docker" or bool(spec.container_options() or spec.gpu)
    try:
        return _docker(spec, pull, progress, sought=only_docker or is_configured())
    except (EngineUnavailableError, ImageError) as error:
        if only_docker:
            raise
        if not local_runtime.is_installed():
            raise type(error)(
                f"{error.message} Nor is the local engine installed.",
                hint="Start Docker (https://docs.docker.com/engine/install/), or serve without it: "
                + local_runtime.how_to_serve(),
                details=error.details,
            ) from None
        progress.notice(f"{error.message} Serving with the local engine instead.")
        return LocalEngine(), False


def _docker(spec: ServeSpec, pull: PullPolicy | None, progress: Progress, *, sought: bool) -> tuple[Engine, bool]:
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
    gpu = uses_gpu(spec.gpu, engine.facts.runtimes, here=host is None)
    if pull is not None:
        ensure_image(engine, serving_image(spec.image, spec.tag, gpu=gpu), spec.platform, pull, progress)
    return engine, gpu


def uses_gpu(asked: bool | None, runtimes: frozenset[str], *, here: bool) -> bool:
    """Decides whether a container gets a GPU.

    Args:
        asked: True to require one, False to refuse one, None to take one when the engine can give it.
        runtimes: the engine's OCI runtimes.
        here: whether the engine is on this machine; NVML says nothing of another's GPUs, so that one is trusted.

    Raises:
        GpuError: one is required and this machine has none.
    """
    if asked is False or (asked is None and NVIDIA_RUNTIME not in runtimes):
        return False
    if not here:
        return True
    from tfserve.gpu import find_gpus

    found = bool(find_gpus())
    if asked and not found:
        raise GpuError(
            "No NVIDIA GPU is usable here: NVML, the driver's library, finds none.",
            hint="See what the driver says: nvidia-smi. Serve on the CPU without --gpu.",
        )
    return found


def ensure_image(
    engine: DockerEngine, reference: ImageReference, platform: str | None, pull: PullPolicy, progress: Progress
) -> None:
    """Sees to it that the engine has an image.

    Raises:
        ImageError: it cannot be had, or is missing and must not be pulled.
    """
    if pull != "always" and find_image(engine.client, reference, platform) is not None:
        return
    if pull == "never":
        raise ImageError(
            f"The engine has no image {reference}, and --pull never forbids to pull it.",
            hint="Leave --pull never out.",
        )
    with progress.pulling(str(reference)) as on_progress:
        pull_image(engine.client, reference, platform, on_progress=on_progress)

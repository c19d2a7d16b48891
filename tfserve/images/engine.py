"""The Docker Engine of the commands that pull, list and make images."""

from __future__ import annotations

from contextlib import suppress

from tfserve.engines.docker import is_configured
from tfserve.engines.docker.client import connect, mirrors
from tfserve.engines.docker.engine import DockerEngine
from tfserve.engines.docker.images import Image
from tfserve.engines.docker.pull import check_published, pull_image
from tfserve.errors import TfserveError
from tfserve.progress import Progress
from tfserve.spec.image import ImageReference

__all__ = ["configured_engine", "docker_engine", "mirrors", "pull"]


def docker_engine() -> DockerEngine:
    """Connects to the Docker Engine that the ``docker`` command would use.

    Raises:
        EngineUnavailableError: the engine does not respond, or refuses this user.
    """
    return DockerEngine(connect())


def configured_engine() -> DockerEngine | None:
    """Returns the Docker Engine; None if none is configured, or it does not respond."""
    if is_configured():
        with suppress(TfserveError):
            return docker_engine()
    return None


def pull(engine: DockerEngine, reference: ImageReference, platform: str | None, progress: Progress) -> Image:
    """Pulls an image, for a platform or the engine's own.

    Raises:
        ImageError: the image cannot be pulled.
    """
    check_published(reference, platform or engine.facts.platform)
    with progress.pulling(str(reference)) as on_progress:
        return pull_image(engine.client, reference, platform, on_progress=on_progress, on_notice=progress.notice)

"""Which serving images a Docker Engine has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from tfserve.engines.docker.client import docker_errors
from tfserve.engines.docker.engine import DockerEngine
from tfserve.engines.docker.images import Image, find_image
from tfserve.engines.docker.packaged import PackagedModel, models_said
from tfserve.images.kinds import Kind, kind_of
from tfserve.spec.image import ImageReference

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["ListedImage", "list_images"]


@dataclass(frozen=True)
class ListedImage:
    """A serving image by one of its names: what it is, when it was made, and which models are inside."""

    image: Image
    reference: ImageReference
    kind: Kind
    created: datetime
    models: tuple[PackagedModel, ...]


def list_images(engine: DockerEngine, repository: ImageReference | None = None) -> list[ListedImage]:
    """Lists the serving images of an engine by name, those of one `repository` or all; an image may have many names."""
    return sorted(_listed(engine.client, repository), key=lambda found: str(found.reference))


def _listed(client: APIClient, repository: ImageReference | None) -> Iterator[ListedImage]:
    with docker_errors():
        found = client.images()
    for data in found:
        for name in data.get("RepoTags") or ():
            repository_name, _, tag = name.rpartition(":")
            reference = ImageReference(repository_name, tag)
            if "<none>" in (repository_name, tag):
                continue
            if repository is not None and repository_name != repository.repository:
                continue
            image = find_image(client, reference)
            if image is None:  # somebody has just removed it
                continue
            if kind := kind_of(reference, image.labels, image.entrypoint, image.environment):
                created = datetime.fromtimestamp(data["Created"], timezone.utc)
                models = models_said(image.labels, image.environment) if kind == "packaged" else ()
                yield ListedImage(image, reference, kind, created, models)

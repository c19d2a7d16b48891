"""Lists the serving images of a Docker Engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from tfserve.engines.docker.client import docker_errors
from tfserve.engines.docker.engine import DockerEngine
from tfserve.engines.docker.images import Image, find_image
from tfserve.engines.docker.packaged import PackagedModel, declared_models
from tfserve.images.kinds import Kind, kind_of
from tfserve.spec.image import ImageReference

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["ServingImage", "list_images"]


@dataclass(frozen=True)
class ServingImage:
    """An image of TensorFlow Serving under one of its names: its kind, its creation time, and the models inside."""

    image: Image
    kind: Kind
    created: datetime
    models: tuple[PackagedModel, ...]


def list_images(engine: DockerEngine, repository: ImageReference | None = None) -> list[ServingImage]:
    """Lists the serving images of an engine, in one `repository` or all, by name; an image can have many names."""
    return sorted(_listed(engine.client, repository), key=lambda found: str(found.image.reference))


def _listed(client: APIClient, repository: ImageReference | None) -> Iterator[ServingImage]:
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
            if image is None:  # another process has just removed it
                continue
            if kind := kind_of(reference, image.labels, image.entrypoint, image.environment):
                models = declared_models(image.labels, image.environment) if kind == "packaged" else ()
                created = datetime.fromtimestamp(data["Created"], timezone.utc)
                yield ServingImage(image, kind, created, models)

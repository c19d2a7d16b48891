"""Lists the serving images of a Docker Engine."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tfserve.engines.docker.client import UnexpectedAnswerError, docker_errors
from tfserve.engines.docker.engine import DockerEngine
from tfserve.engines.docker.fields import moment
from tfserve.engines.docker.images import Image, find_image
from tfserve.engines.docker.packaged import PackagedModel, check_packaged, declared_models
from tfserve.errors import ImageError, SkippedWarning
from tfserve.images.kinds import Kind, kind_of
from tfserve.spec.image import ImageReference
from tfserve.text import printable

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["ServingImage", "list_images"]

_MAX_SHOWN = 200


@dataclass(frozen=True)
class ServingImage:
    """An image of TensorFlow Serving under one of its names: its kind, its creation time, and the models inside."""

    image: Image
    kind: Kind
    created: datetime
    models: tuple[PackagedModel, ...]


def list_images(engine: DockerEngine, repository: ImageReference | None = None) -> list[ServingImage]:
    """Lists the serving images of an engine, in one `repository` or all, by name; an image can have many names.

    There is a `SkippedWarning` for each image whose labels or state are damaged.
    """
    return sorted(_listed(engine.client, repository), key=lambda found: str(found.image.reference))


def _listed(client: APIClient, repository: ImageReference | None) -> Iterator[ServingImage]:
    with docker_errors():
        found = [(data, name) for data in client.images() for name in data.get("RepoTags") or ()]
    for data, name in found:
        try:
            with docker_errors():
                image = _serving_image(client, data, name, repository)
        except (UnexpectedAnswerError, ImageError) as error:
            shown = printable(name, limit=_MAX_SHOWN) if isinstance(name, str) else "without a name"
            why = error.details or error.message.rstrip(".")
            warnings.warn(f"The image {shown} was skipped. {why}.", SkippedWarning, stacklevel=2)
        else:
            if image is not None:
                yield image


def _serving_image(
    client: APIClient, data: dict[str, Any], name: str, repository: ImageReference | None
) -> ServingImage | None:
    """Reads one name of an image; None if it is not a serving image in `repository`."""
    repository_name, _, tag = name.rpartition(":")
    reference = ImageReference(repository_name, tag)
    if "<none>" in (repository_name, tag):
        return None
    if repository is not None and repository_name != repository.repository:
        return None
    image = find_image(client, reference)
    kind = None if image is None else kind_of(reference, image.labels, image.entrypoint, image.environment)
    if image is None or kind is None:  # another process has just removed it, or it is something else
        return None
    check_packaged(image.labels)
    models = declared_models(image.labels, image.environment) if kind == "packaged" else ()
    return ServingImage(image, kind, moment(data["Created"]), models)

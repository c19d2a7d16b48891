"""Makes an image from another image and an archive: creates a container, fills it, commits it and removes it.

The container never runs. After an error or an interrupt, neither it nor an unnamed image is left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfserve.engines.docker.client import LOG_HINT, docker_errors, explanation, own_work
from tfserve.engines.docker.images import disk_full, name_image, refuse_taken_name
from tfserve.engines.docker.removal import remove_container
from tfserve.errors import ImageError, TfserveError
from tfserve.interrupts import interrupts_deferred
from tfserve.spec.image import ImageReference

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["ImagePlan", "make_image"]


@dataclass(frozen=True)
class ImagePlan:
    """The configuration of a new image; its files are given separately.

    Attributes:
        image: the name of the new image.
        base: the id of the base image.
        platform: the platform of both images; None for the engine's own.
        environment: environment variables, in addition to those of the base image.
        entrypoint: the entrypoint.
        command: the default command.
        labels: labels, in addition to those of the base image.
        replaces: whether to replace an existing image with this name.
    """

    image: ImageReference
    base: str
    platform: str | None
    environment: Mapping[str, str]
    entrypoint: Sequence[str]
    command: Sequence[str]
    labels: Mapping[str, str]
    replaces: bool


def make_image(
    client: APIClient, plan: ImagePlan, archive: Iterable[bytes], late_labels: Callable[[], Mapping[str, str]]
) -> None:
    """Makes an image and names it.

    Args:
        client: the connection to the engine.
        plan: the configuration of the image.
        archive: a tar to unpack at the root of the image.
        late_labels: called for more labels after `archive` has been read; without quotes, backslashes and newlines.

    Raises:
        NameTakenError: another image has taken the name in the meantime, and must not be replaced.
        ImageError: the engine could not make the image, for example because its disk is full.
    """
    container = image = None
    with docker_errors(), _without_timeout(client), _make_errors(plan.image):
        try:
            with interrupts_deferred():
                container = client.create_container(
                    plan.base,
                    list(plan.command) or None,
                    environment=dict(plan.environment),
                    entrypoint=list(plan.entrypoint),
                    labels=dict(plan.labels),
                    platform=plan.platform,
                )["Id"]
            client.put_archive(container, "/", _read(archive))
            with own_work():
                changes = [f"LABEL {name}='{value}'" for name, value in late_labels().items()]
            with interrupts_deferred():  # an interrupted commit would continue, and leave an unknown image
                image = client.commit(container, message="tfserve package", changes=changes)["Id"]
            with interrupts_deferred():
                if not plan.replaces:
                    refuse_taken_name(client, plan.image)
                name_image(client, image, plan.image)
                image = None
        finally:
            with interrupts_deferred(), suppress(TfserveError), docker_errors():
                if container is not None:
                    remove_container(client, container)
                if image is not None:
                    client.remove_image(image, noprune=True)


def _read(archive: Iterable[bytes]) -> Iterator[bytes]:
    with own_work():
        yield from archive


@contextmanager
def _without_timeout(client: APIClient) -> Iterator[None]:
    """Disables the timeout of the client, because gigabytes of data take long."""
    before, client.timeout = client.timeout, None
    try:
        yield
    finally:
        client.timeout = before


@contextmanager
def _make_errors(image: ImageReference) -> Iterator[None]:
    import docker.errors

    try:
        yield
    except docker.errors.APIError as error:
        text = explanation(error)
        if "no space left" in text.lower():
            raise disk_full(f"{image} was not made", text) from error
        raise ImageError(f"The engine could not make {image}.", hint=LOG_HINT, details=text) from error

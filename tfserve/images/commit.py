"""Makes an image out of another and an archive: a container that never runs is created, filled, committed and removed.

Whatever fails on the way, or is interrupted, neither the container nor an image without a name stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfserve.engines.docker.client import LOG_HINT, docker_errors, explanation
from tfserve.engines.docker.images import disk_full, name_image, refuse_taken_name
from tfserve.errors import ImageError, TfserveError
from tfserve.interrupts import interrupts_deferred
from tfserve.spec.image import ImageReference

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["ImagePlan", "make_image"]


@dataclass(frozen=True)
class ImagePlan:
    """An image to make, all but its files.

    Attributes:
        image: its name.
        base: the id of the image that it is made from.
        platform: of both; None for the engine's own.
        environment: variables of its containers, on top of those of `base`.
        entrypoint: what its containers run.
        command: what they give to that.
        labels: what it says of itself, on top of what `base` says.
        replaces: whether it may take its name from another image.
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
    """Makes an image, and gives it its name.

    Args:
        client: the engine.
        plan: what to make.
        archive: a tar to unpack at its root.
        late_labels: more labels, asked for when `archive` has been read; without quotes, backslashes and line ends.

    Raises:
        NameTakenError: another image got that name meanwhile, and is not to be replaced.
        ImageError: the engine could not make it, for example because its disk is full.
    """
    container = image = None
    with docker_errors(), _patient(client), _make_errors(plan.image):
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
            client.put_archive(container, "/", archive)
            changes = [f"LABEL {name}='{value}'" for name, value in late_labels().items()]
            with interrupts_deferred():  # the engine would go on without us, and nothing would know of the image
                image = client.commit(container, message="tfserve package", changes=changes)["Id"]
            with interrupts_deferred():
                if not plan.replaces:
                    refuse_taken_name(client, plan.image)
                name_image(client, image, plan.image)
                image = None
        finally:
            with interrupts_deferred(), suppress(TfserveError), docker_errors():
                if container is not None:
                    client.remove_container(container, force=True, v=True)
                if image is not None:
                    client.remove_image(image, noprune=True)


@contextmanager
def _patient(client: APIClient) -> Iterator[None]:
    """Lets the engine take its time, as it needs for many gigabytes."""
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

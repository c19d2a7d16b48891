"""Images on a Docker Engine: finds them, names them and removes them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tfserve.engines.docker.client import docker_errors
from tfserve.engines.docker.fields import text, texts
from tfserve.errors import ImageError, NameTakenError
from tfserve.spec.image import ImageReference

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["Image", "disk_full", "find_image", "made_image", "name_image", "refuse_taken_name", "remove_nameless"]


@dataclass(frozen=True)
class Image:
    """An image on the engine.

    Attributes:
        reference: the name by which it was found.
        id: the digest of its configuration.
        digests: its names by digest, ``repository@sha256:…``; none if it has never been in a registry.
        size: in bytes.
        platform: such as ``linux/amd64``.
        labels: its labels.
        entrypoint: the program that its containers run.
        command: the arguments of the entrypoint.
        environment: the variables of its containers.
    """

    reference: ImageReference
    id: str
    digests: tuple[str, ...]
    size: int
    platform: str
    labels: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def find_image(client: APIClient, reference: ImageReference, platform: str | None = None) -> Image | None:
    """Finds an image on the engine; None if it is missing, or only there for another platform."""
    import docker.errors

    with docker_errors():
        try:
            data = client.inspect_image(str(reference))
        except docker.errors.NotFound:
            return None
        variant = f"/{data['Variant']}" if data.get("Variant") else ""
        actual = f"{data['Os']}/{data['Architecture']}"
        if platform is not None and platform not in (actual, actual + variant):
            return None
        config = data.get("Config") or {}
        return Image(
            reference=reference,
            id=text(data["Id"]),
            digests=texts(data.get("RepoDigests")),
            size=int(data["Size"]),
            platform=actual + variant,
            labels={text(name): text(value) for name, value in (config.get("Labels") or {}).items()},
            entrypoint=texts(config.get("Entrypoint")),
            command=texts(config.get("Cmd")),
            environment=dict(pair.split("=", 1) for pair in texts(config.get("Env")) if "=" in pair),
        )


def name_image(client: APIClient, image: str, reference: ImageReference) -> None:
    """Names an image. If another image had the name, and has no other name and is not in use, it is removed."""
    import docker.errors

    try:
        before = client.inspect_image(str(reference))
    except docker.errors.ImageNotFound:
        before = {"Id": image}
    client.tag(image, reference.repository, reference.tag)
    if before["Id"] != image and len(before["RepoTags"]) == 1:
        with suppress(docker.errors.APIError):  # it is in use
            client.remove_image(before["Id"])


def remove_nameless(client: APIClient, image: str) -> None:
    """Removes an image that has no name any more, unless it is in use."""
    import docker.errors

    with suppress(docker.errors.APIError):  # it is in use, or gone
        data = client.inspect_image(image)
        if not data["RepoTags"] and not data["RepoDigests"]:
            client.remove_image(image, noprune=True)


def refuse_taken_name(client: APIClient, reference: ImageReference) -> None:
    """Refuses to create an image whose name is taken.

    Raises:
        NameTakenError: another image has the name.
    """
    if find_image(client, reference) is not None:
        raise NameTakenError(
            f"The name {reference} is already taken by an image.",
            hint="Choose another --image, or take the name with --force.",
        )


def made_image(client: APIClient, reference: ImageReference) -> Image:
    """Finds an image that has just been created.

    Raises:
        ImageError: it has been removed.
    """
    image = find_image(client, reference)
    if image is None:
        raise ImageError(f"{reference} was created, but removed by another process.", hint="Create it again.")
    return image


def disk_full(what: str, text: str) -> ImageError:
    """The error for a full disk of the engine; `what` is the consequence, and `text` the engine's message."""
    return ImageError(
        f"The engine's disk is full: {what}.",
        hint="Free space: docker system df shows what uses it, docker system prune removes what is unused.",
        details=text,
        doctor=True,
    )

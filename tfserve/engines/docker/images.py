"""Serving images on a Docker Engine: whether one is there, and how to get it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tfserve.engines.docker.client import docker_errors
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
        digests: its names by digest, ``repository@sha256:…``; none if it was never in a registry.
        size: in bytes.
        platform: ``linux/amd64`` and the like.
        labels: what it says of itself.
        entrypoint: what its containers run.
        command: what they give to that.
        environment: their variables.
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
    """Finds an image on the engine; None when it is not there, or only for another platform."""
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
        id=data["Id"],
        digests=tuple(data.get("RepoDigests") or ()),
        size=data["Size"],
        platform=actual + variant,
        labels=config.get("Labels") or {},
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        environment=dict(pair.split("=", 1) for pair in config.get("Env") or () if "=" in pair),
    )


def name_image(client: APIClient, image: str, reference: ImageReference) -> None:
    """Gives an image a name. One that had it, and has no other and is not used, is removed."""
    import docker.errors

    try:
        before = client.inspect_image(str(reference))
    except docker.errors.ImageNotFound:
        before = {"Id": image}
    client.tag(image, reference.repository, reference.tag)
    if before["Id"] != image and len(before["RepoTags"]) == 1:
        with suppress(docker.errors.APIError):  # it is used
            client.remove_image(before["Id"])


def remove_nameless(client: APIClient, image: str) -> None:
    """Removes an image that nobody can name any more, unless it is used."""
    import docker.errors

    with suppress(docker.errors.APIError):  # it is used, or gone
        data = client.inspect_image(image)
        if not data["RepoTags"] and not data["RepoDigests"]:
            client.remove_image(image, noprune=True)


def refuse_taken_name(client: APIClient, reference: ImageReference) -> None:
    """Refuses to make an image whose name another one has.

    Raises:
        NameTakenError: there is one.
    """
    if find_image(client, reference) is not None:
        raise NameTakenError(
            f"There is an image {reference} already.", hint="Choose another --image, or take its place with --force."
        )


def made_image(client: APIClient, reference: ImageReference) -> Image:
    """Finds an image that has just been made.

    Raises:
        ImageError: it is gone.
    """
    image = find_image(client, reference)
    if image is None:
        raise ImageError(f"{reference} was made, and is gone.", hint="Somebody removed it. Make it again.")
    return image


def disk_full(what: str, text: str) -> ImageError:
    """The error for a disk of the engine's that is full; `what` was not done, and `text` is what the engine says."""
    return ImageError(
        f"The engine's disk is full: {what}.",
        hint="Make room: docker system df shows what uses it, docker system prune removes what nothing uses.",
        details=text,
        doctor=True,
    )

"""Serving images on a Docker Engine: whether one is there, and how to get it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tfserve.engines.docker_client import docker_errors, explanation
from tfserve.engines.docker_config import find_credentials
from tfserve.errors import ImageError, NameTakenError
from tfserve.progress import LayerProgress
from tfserve.spec.image import HUB, OFFICIAL_PLATFORM, ImageReference

if TYPE_CHECKING:
    from docker import APIClient

__all__ = [
    "Image",
    "check_published",
    "disk_full",
    "find_image",
    "how_to_log_in",
    "is_refusal",
    "made_image",
    "name_image",
    "pull_image",
    "refuse_taken_name",
    "remove_nameless",
    "report",
]


@dataclass(frozen=True)
class Image:
    """An image on the engine.

    Attributes:
        name: what it was asked for by.
        id: the digest of its configuration.
        digests: its names by digest, ``repository@sha256:…``; none if it was never in a registry.
        size: in bytes.
        platform: ``linux/amd64`` and the like.
        labels: what it says of itself.
        entrypoint: what its containers run.
        command: what they give to that.
        environment: their variables.
    """

    name: str
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
        name=str(reference),
        id=data["Id"],
        digests=tuple(data.get("RepoDigests") or ()),
        size=data["Size"],
        platform=actual + variant,
        labels=config.get("Labels") or {},
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        environment=dict(pair.split("=", 1) for pair in config.get("Env") or () if "=" in pair),
    )


def pull_image(
    client: APIClient,
    reference: ImageReference,
    platform: str | None = None,
    *,
    on_progress: Callable[[LayerProgress], None] = lambda progress: None,
    on_notice: Callable[[str], None] = lambda notice: None,
) -> Image:
    """Pulls an image, with the credentials of the docker command's configuration, or without when they cannot be had.

    Args:
        client: the engine.
        reference: what to pull.
        platform: ``linux/amd64`` and the like; None for the engine's own.
        on_progress: called for every step of every layer.
        on_notice: told why there are no credentials, when there may be.

    Raises:
        ImageError: the registry does not have it, does not give it, or does not answer; or it does not fit.
        EngineUnavailableError: the engine stopped answering on the way.
    """
    import docker.errors

    credentials = find_credentials(reference.registry)
    if credentials.failure:
        on_notice(f"{credentials.failure}: going on without its credentials.")
    with docker_errors():
        try:
            tag = (reference.digest or "").lstrip("@") or reference.tag
            events = client.pull(
                reference.repository,
                tag=tag,
                stream=True,
                decode=True,
                platform=platform,
                auth_config=dict(credentials.sent),
            )
            for event in events:
                if "error" in event:
                    raise _pull_error(reference, platform, str(event["error"]), credentials.failure)
                report(event, on_progress)
        except docker.errors.APIError as error:
            raise _pull_error(reference, platform, explanation(error), credentials.failure) from error
    image = find_image(client, reference, platform)
    if image is None and find_image(client, reference) is not None:
        raise _pull_error(reference, platform, "no matching manifest: the image there is, is for another platform")
    if image is None:
        raise ImageError(
            f"The pull of {reference} ended without the image.",
            hint=f"See what the docker command says: docker pull {reference}",
        )
    return image


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


def report(event: dict[str, Any], on_progress: Callable[[LayerProgress], None]) -> None:
    """Passes what the engine says of a layer on, if this is of one."""
    status = str(event.get("status", ""))
    if "id" in event and not status.startswith("Pulling from"):
        detail = event.get("progressDetail") or {}
        on_progress(LayerProgress(str(event["id"]), status, detail.get("current"), detail.get("total")))


def check_published(reference: ImageReference, platform: str) -> None:
    """Refuses an official image for a platform that TensorFlow publishes none for, before anybody asks a registry.

    Raises:
        ImageError: there is none.
    """
    if reference.is_official and platform != OFFICIAL_PLATFORM:
        raise _no_such_platform(reference, platform)


def _no_such_platform(reference: ImageReference, platform: str, details: str | None = None) -> ImageError:
    """The error for an image that is not made for a platform."""
    return ImageError(
        f"There is no {reference} for {platform}.",
        hint="TensorFlow publishes serving images for linux/amd64 alone. Emulate it: --platform linux/amd64",
        details=details,
        doctor=True,
    )


def disk_full(what: str, text: str) -> ImageError:
    """The error for a disk of the engine's that is full; `what` was not done, and `text` is what the engine says."""
    return ImageError(
        f"The engine's disk is full: {what}.",
        hint="Make room: docker system df shows what uses it, docker system prune removes what nothing uses.",
        details=text,
        doctor=True,
    )


def how_to_log_in(registry: str, failure: str = "") -> str:
    """What to do where a registry wants to know who asks; `failure` is why there are no credentials, if so."""
    login = "docker login" if registry == HUB else f"docker login {registry}"
    return f"{failure}. Mend that first; then log in: {login}" if failure else login


def is_refusal(text: str) -> bool:
    """Whether a registry gives or takes an image from those alone whom it knows."""
    return any(word in text.lower() for word in ("denied", "unauthorized", "authentication", "no basic auth"))


def _pull_error(reference: ImageReference, platform: str | None, text: str, failure: str = "") -> ImageError:
    lowered = text.lower()
    if "no matching manifest" in lowered or "does not match the specified platform" in lowered:
        return _no_such_platform(reference, platform or "the platform of this engine", text)
    if "manifest unknown" in lowered or "not found" in lowered:
        return ImageError(
            f"The registry has no image {reference}.",
            hint=f"Look the name and the tag up: https://hub.docker.com/r/{reference.path}/tags"
            if reference.registry == HUB
            else f"Check the name and the tag: tfserve images --remote {reference.repository}",
            details=text,
        )
    if is_refusal(text):
        log_in = how_to_log_in(reference.registry, failure)
        return ImageError(
            f"The registry does not give {reference} to this user, or has no such image.",
            hint=log_in if failure else f"Check the name; for a private image log in first: {log_in}",
            details=text,
        )
    if "toomanyrequests" in lowered:
        return ImageError(
            f"The registry's rate limit is reached: {reference} was not pulled.",
            hint=f"Wait, or log in for a higher limit: {how_to_log_in(reference.registry, failure)}",
            details=text,
        )
    if "no space left" in lowered:
        return disk_full(f"{reference} was not pulled", text)
    return ImageError(
        f"{reference} could not be pulled.",
        hint="Check the engine's network and proxy. Without a network, docker load brings an image from a file.",
        details=text,
        doctor=True,
    )

"""Pulls images with the credentials of the docker command, and explains refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfserve.defaults import PullPolicy
from tfserve.engines.docker.client import docker_errors, explanation, own_work
from tfserve.engines.docker.config import find_registry_credentials, report_failure
from tfserve.engines.docker.engine import DockerEngine
from tfserve.engines.docker.images import Image, disk_full, find_image
from tfserve.errors import Attribute, ImageError, Wording
from tfserve.progress import LayerProgress, Progress
from tfserve.spec.image import HUB, OFFICIAL_PLATFORM, ImageReference, runs_natively

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["check_published", "ensure_image", "how_to_log_in", "is_refusal", "pull_image", "report_layer"]

_NEVER = Attribute("pull", "never")


def ensure_image(
    engine: DockerEngine, reference: ImageReference, platform: str | None, pull: PullPolicy | None, progress: Progress
) -> None:
    """Ensures that the engine has an image, and reports if the image has to be emulated.

    Args:
        engine: the engine.
        reference: the image.
        platform: the requested platform; None for the engine's own.
        pull: when to pull the image; None never to pull it and not to require it.
        progress: reports a pull.

    Raises:
        ImageError: the image cannot be pulled, is for another platform, or is missing and must not be pulled.
    """
    own = engine.facts.platform
    # An official image for another platform is only used if that platform is requested.
    wanted = platform or (own if reference.is_official else None)
    image = None if pull == "always" else find_image(engine.client, reference, wanted)
    if image is None:
        check_published(reference, platform or own)
        if pull == "never":
            raise ImageError(
                Wording(
                    "Image {image} is not on this engine, and {never} prevents pulling it.",
                    image=str(reference),
                    never=_NEVER,
                ),
                hint=Wording(
                    "Leave {never} out.{other}", never=_NEVER, other=_for_another(engine, reference, platform)
                ),
            )
        if pull is not None:
            try:
                with progress.pulling(str(reference)) as on_progress:
                    image = pull_image(
                        engine.client, reference, platform, on_progress=on_progress, on_notice=progress.notice
                    )
            except ImageError as error:
                error.add_hint(_for_another(engine, reference, platform))
                raise
    chosen = image.platform if image is not None else platform or own
    if not runs_natively(chosen, own):
        progress.notice(
            f"{chosen} is emulated on this engine, which is {own}: expect it to be slow. TensorFlow needs AVX, which "
            "QEMU emulates from version 7.2 on."  # https://wiki.qemu.org/ChangeLog/7.2
        )


def _for_another(engine: DockerEngine, reference: ImageReference, platform: str | None) -> Wording:
    """A line that names the other platform for which the image is on the engine; empty if it is not."""
    other = find_image(engine.client, reference) if platform else None
    if other is None:
        return Wording("")
    return Wording(
        "\n{image} is on the engine for {other}: to use that, leave {platform} out.",
        image=str(reference),
        other=other.platform,
    )


def pull_image(
    client: APIClient,
    reference: ImageReference,
    platform: str | None = None,
    *,
    on_progress: Callable[[LayerProgress], None] = lambda progress: None,
    on_notice: Callable[[str], None] = lambda notice: None,
) -> Image:
    """Pulls an image with the credentials of the docker command's configuration, if they are available.

    Args:
        client: the engine.
        reference: the image.
        platform: its platform, such as ``linux/amd64``; None for the engine's own.
        on_progress: called for every step of every layer.
        on_notice: called with the reason if credentials cannot be read.

    Raises:
        ImageError: the registry does not have the image, refuses it, or does not answer; or the disk is full.
        EngineUnavailableError: the engine stopped answering.
    """
    import docker.errors

    credentials = find_registry_credentials(reference.registry)
    report_failure(credentials.failure, on_notice)
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
                report_layer(event, on_progress)
        except docker.errors.APIError as error:
            raise _pull_error(reference, platform, explanation(error), credentials.failure) from error
    image = find_image(client, reference, platform)
    if image is None and find_image(client, reference) is not None:
        raise _pull_error(reference, platform, "no matching manifest: the image on the engine is for another platform")
    if image is None:
        raise ImageError(
            f"{reference} was pulled, but is not on the engine.",
            hint=f"Try it with the docker command: docker pull {reference}",
        )
    return image


def report_layer(event: dict[str, Any], on_progress: Callable[[LayerProgress], None]) -> None:
    """Passes an event on if it is about a layer."""
    status = str(event.get("status", ""))
    if "id" in event and not status.startswith("Pulling from"):
        detail = event.get("progressDetail") or {}
        current, total = (_count(detail.get(name)) for name in ("current", "total"))
        with own_work():
            on_progress(LayerProgress(str(event["id"]), status, current, total))


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value < 2**63 else None


def check_published(reference: ImageReference, platform: str) -> None:
    """Refuses an official image for a platform that TensorFlow does not publish, without a request to a registry.

    Raises:
        ImageError: the image is not published for `platform`.
    """
    if reference.is_official and platform != OFFICIAL_PLATFORM:
        raise _no_such_platform(reference, platform)


def _no_such_platform(reference: ImageReference, platform: str, details: str | None = None) -> ImageError:
    """The error for an image that is not published for a platform."""
    return ImageError(
        f"{reference} is not available for {platform}.",
        hint=Wording(
            "TensorFlow publishes serving images for linux/amd64 only. To emulate it: {amd64}",
            amd64=Attribute("platform", OFFICIAL_PLATFORM),
        ),
        details=details,
        doctor=True,
    )


def how_to_log_in(registry: str, failure: str = "") -> str:
    """How to log in to a registry; `failure` is the reason if the credentials cannot be read."""
    login = "docker login" if registry == HUB else f"docker login {registry}"
    return f"{failure}. Fix that first, then log in: {login}" if failure else login


def is_refusal(text: str) -> bool:
    """Whether a registry refuses a request because the user is not logged in or not authorized."""
    return any(word in text.lower() for word in ("denied", "unauthorized", "authentication", "no basic auth"))


def _pull_error(reference: ImageReference, platform: str | None, text: str, failure: str = "") -> ImageError:
    lowered = text.lower()
    if "no matching manifest" in lowered or "does not match the specified platform" in lowered:
        return _no_such_platform(reference, platform or "the platform of this engine", text)
    if "manifest unknown" in lowered or "not found" in lowered:
        return ImageError(
            f"The registry has no image {reference}.",
            hint=f"Check the name and the tag: https://hub.docker.com/r/{reference.path}/tags"
            if reference.registry == HUB
            else f"Check the name and the tag: tfserve images --remote {reference.repository}",
            details=text,
        )
    if is_refusal(text):
        log_in = how_to_log_in(reference.registry, failure)
        return ImageError(
            f"The registry does not give {reference} to this user, or does not have it.",
            hint=log_in if failure else f"Check the name. For a private image, log in first: {log_in}",
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
        hint="Check the engine's network and proxy. Without a network, load the image from a file: docker load",
        details=text,
        doctor=True,
    )

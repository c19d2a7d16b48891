"""Pushes an image of a Docker Engine to its registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tfserve.engines.docker.client import docker_errors, explanation
from tfserve.engines.docker.config import find_registry_credentials, report_failure
from tfserve.engines.docker.pull import how_to_log_in, is_refusal, report_layer
from tfserve.errors import ImageError
from tfserve.progress import LayerProgress
from tfserve.spec.image import ImageReference

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["push_image"]


def push_image(
    client: APIClient,
    reference: ImageReference,
    *,
    on_progress: Callable[[LayerProgress], None] = lambda progress: None,
    on_notice: Callable[[str], None] = lambda notice: None,
) -> str:
    """Pushes an image, with the credentials in the docker command's configuration.

    Args:
        client: the connection to the engine.
        reference: the image.
        on_progress: called for every step of every layer.
        on_notice: called with the reason if the credentials cannot be read.

    Returns:
        The digest of the image in the registry, ``sha256:…``.

    Raises:
        ImageError: the registry refuses the image, or does not respond. The image is kept on the engine.
        EngineUnavailableError: the connection to the engine was lost.
    """
    import docker.errors

    credentials = find_registry_credentials(reference.registry)
    report_failure(credentials.failure, on_notice)
    digest = ""
    with docker_errors():
        try:
            events = client.push(
                reference.repository,
                tag=reference.tag,
                stream=True,
                decode=True,
                auth_config=dict(credentials.sent),
            )
            for event in events:
                if "error" in event:
                    raise _push_error(reference, str(event["error"]), credentials.failure)
                digest = str((event.get("aux") or {}).get("Digest", digest))
                report_layer(event, on_progress)
        except docker.errors.APIError as error:
            raise _push_error(reference, explanation(error), credentials.failure) from error
    return digest


def _push_error(reference: ImageReference, text: str, failure: str) -> ImageError:
    again = f"docker push {reference}"
    if is_refusal(text):
        return ImageError(
            f"The registry {reference.registry} refused {reference}. The image is still on the engine.",
            hint=f"{'' if failure else 'Log in, then push: '}{how_to_log_in(reference.registry, failure)} && {again}",
            details=text,
        )
    return ImageError(
        f"{reference} could not be pushed to {reference.registry}. The image is still on the engine.",
        hint=f"Check the name, and the network and proxy of the engine, then push: {again}",
        details=text,
        doctor=True,
    )

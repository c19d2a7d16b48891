"""Pushes an image of a Docker Engine to its registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tfserve.engines.docker.client import docker_errors, explanation
from tfserve.engines.docker.config import find_registry_credentials
from tfserve.engines.docker.pull import how_to_log_in, is_refusal, report
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
    """Pushes an image, with the credentials of the docker command's configuration.

    Args:
        client: the engine.
        reference: what to push.
        on_progress: called for every step of every layer.
        on_notice: told why there are no credentials, when there may be.

    Returns:
        Its digest in the registry, ``sha256:…``.

    Raises:
        ImageError: the registry does not take it, or does not answer. The image stays on the engine.
        EngineUnavailableError: the engine stopped answering on the way.
    """
    import docker.errors

    credentials = find_registry_credentials(reference.registry)
    if credentials.failure:
        on_notice(f"{credentials.failure}: going on without its credentials.")
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
                digest = (event.get("aux") or {}).get("Digest", digest)
                report(event, on_progress)
        except docker.errors.APIError as error:
            raise _push_error(reference, explanation(error), credentials.failure) from error
    return digest


def _push_error(reference: ImageReference, text: str, failure: str) -> ImageError:
    again = f"docker push {reference}"
    if is_refusal(text):
        return ImageError(
            f"The registry {reference.registry} does not take {reference} from this user. The image is on the engine.",
            hint=f"{'' if failure else 'Log in, and push it: '}{how_to_log_in(reference.registry, failure)} && {again}",
            details=text,
        )
    return ImageError(
        f"{reference} could not be pushed to {reference.registry}. The image is on the engine.",
        hint=f"Check the name, and the engine's network and proxy; then push it: {again}",
        details=text,
        doctor=True,
    )

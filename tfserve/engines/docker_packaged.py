"""Which models are inside the image that somebody wants to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfserve.engines.docker_images import find_image
from tfserve.errors import ImageError, UsageError
from tfserve.own_image import models_said
from tfserve.spec.image import serving_image

if TYPE_CHECKING:
    from docker import APIClient

    from tfserve.spec.serve import ServeSpec

__all__ = ["models_inside"]


def models_inside(client: APIClient, spec: ServeSpec) -> tuple[str, ...]:
    """Returns the names of the models inside the image of `spec` that it is to serve; none when `spec` has its own.

    Raises:
        ImageError: it has none, and the engine does not have the image.
        UsageError: it has none, nor has the image; or the image serves several of its own, whatever else there is.
    """
    reference = serving_image(spec.image, spec.tag)
    image = find_image(client, reference, spec.platform)
    inside = tuple(model.name for model in models_said(image.labels, image.environment)) if image else ()
    if spec.models:
        if len(inside) > 1 and spec.fixed:  # its entrypoint names their configuration
            raise UsageError(
                f"{reference} has models inside, and serves those: {', '.join(inside)}.",
                hint=f"Leave MODEL_DIR out (tfserve run --image {reference}), or choose an image without models.",
            )
        return ()
    if image is None:
        raise ImageError(
            f"The engine has no image {reference}, so nobody can say which models are inside.",
            hint=f"Pull it first: tfserve pull {reference}",
        )
    if not inside:
        raise UsageError(
            f"{reference} does not say that a model is inside, and no MODEL_DIR is given.",
            hint="Give one (tfserve run ./my_model --image …), or put it inside: tfserve package ./my_model …\n"
            "One that is inside has to be named: docker commit --change 'ENV MODEL_NAME …' CONTAINER IMAGE",
        )
    return inside

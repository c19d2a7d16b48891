"""Models inside an image: which ones its labels or variables name, and which of them a server of it serves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfserve.engines.docker.images import find_image
from tfserve.errors import ImageError, UsageError
from tfserve.plan import labels
from tfserve.spec.image import ImageReference

if TYPE_CHECKING:
    from docker import APIClient

    from tfserve.spec.serve import ServeSpec

__all__ = ["PackagedModel", "model_named", "models_inside", "models_said", "packaged_label", "packaged_models"]


def models_inside(client: APIClient, spec: ServeSpec) -> tuple[str, ...]:
    """Returns the names of the models inside the image of `spec` that it is to serve; none when `spec` has its own.

    Raises:
        ImageError: it has none, and the engine does not have the image.
        UsageError: it has none, nor has the image; or the image serves several of its own, whatever else there is.
    """
    reference = ImageReference.parse(spec.image, spec.tag)
    image = find_image(client, reference, spec.platform)
    inside = tuple(model.name for model in models_said(image.labels, image.environment)) if image else ()
    if spec.models:
        if len(inside) > 1 and spec.single_model:  # its entrypoint names their configuration
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


UNNAMED_MODEL = "model"  # MODEL_NAME of the official images, which have no model inside


def model_named(environment: Mapping[str, str]) -> str | None:
    """The model that an image's variables name, as TensorFlow's guide does it; None for none, or the default name."""
    name = environment.get("MODEL_NAME")
    return None if name in (None, "", UNNAMED_MODEL) else name


@dataclass(frozen=True)
class PackagedModel:
    """A model inside an image: its name, its versions, and the digest of its files."""

    name: str
    versions: tuple[int, ...]
    digest: str


def packaged_label(models: Iterable[PackagedModel]) -> str:
    """Writes what `packaged_models` reads: JSON in one line, without a ``'`` or a ``$``."""
    return json.dumps({model.name: {"versions": model.versions, "digest": model.digest} for model in models})


def packaged_models(written: Mapping[str, str]) -> tuple[PackagedModel, ...]:
    """Reads from an image's labels which models are inside; none where no label says so, or a damaged one."""
    try:
        found = json.loads(written.get(labels.PACKAGED, "{}"))
        return tuple(
            PackagedModel(name, tuple(map(int, facts["versions"])), str(facts["digest"]))
            for name, facts in found.items()
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return ()


def models_said(written: Mapping[str, str], environment: Mapping[str, str]) -> tuple[PackagedModel, ...]:
    """Reads from an image's labels, else from its variables, which models are inside.

    Of one that was made as in TensorFlow's guide (``docker commit --change "ENV MODEL_NAME …"``), no versions and no
    digest are known.
    """
    name = model_named(environment)
    return packaged_models(written) or (() if name is None else (PackagedModel(name, (), ""),))

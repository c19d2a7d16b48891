"""Models inside an image: which ones its labels or variables name, and which of them a server serves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfserve.engines.docker.fields import text
from tfserve.engines.docker.images import find_image
from tfserve.errors import ImageError, UsageError, Wording
from tfserve.plan import labels
from tfserve.spec.image import ImageReference
from tfserve.text import printable

if TYPE_CHECKING:
    from docker import APIClient

    from tfserve.spec.serve import ServeSpec

__all__ = [
    "PackagedModel",
    "check_packaged",
    "declared_models",
    "model_named",
    "models_inside",
    "packaged_label",
    "packaged_models",
]

_MAX_TEXT = 1000
UNNAMED_MODEL = "model"  # MODEL_NAME of the official images, which contain no model


def models_inside(client: APIClient, spec: ServeSpec) -> tuple[str, ...]:
    """Returns the names of the models inside the image of `spec` that are to be served; none if `spec` has models.

    Raises:
        ImageError: `spec` has no models, and the image is not on the engine; or the label with its models is damaged.
        UsageError: neither `spec` nor the image has models; or the image always serves several of its own.
    """
    reference = ImageReference.parse(spec.image, spec.tag)
    image = find_image(client, reference, spec.platform)
    if image is not None:
        check_packaged(image.labels)
    inside = tuple(model.name for model in declared_models(image.labels, image.environment)) if image else ()
    if spec.models:
        if len(inside) > 1 and spec.single_model:  # the entrypoint names their configuration
            raise UsageError(
                f"{reference} contains models and always serves them: {', '.join(inside)}.",
                hint=Wording("Leave {models} out, or use an image without models."),
            )
        return ()
    if image is None:
        raise ImageError(
            f"Image {reference} is not on this engine, so the models inside are unknown.",
            hint=f"Pull it: tfserve pull {reference}",
        )
    if not inside:
        raise UsageError(
            Wording("{image} does not declare a model inside, and no {models} is given.", image=str(reference)),
            hint=Wording(
                "Give {models}, or create an image with the model inside: tfserve package ./my_model …\n"
                "A model that is inside must be declared: docker commit --change 'ENV MODEL_NAME …' CONTAINER IMAGE"
            ),
        )
    return inside


def model_named(environment: Mapping[str, str]) -> str | None:
    """The model that an image's variables name, as in TensorFlow's guide; None for no name, or the default one."""
    name = environment.get("MODEL_NAME")
    return None if name in (None, "", UNNAMED_MODEL) else name


@dataclass(frozen=True)
class PackagedModel:
    """A model inside an image: its name, its versions, and the digest of its files."""

    name: str
    versions: tuple[int, ...]
    digest: str


def packaged_label(models: Iterable[PackagedModel]) -> str:
    """Writes the label that `packaged_models` reads: JSON in one line, without a ``'`` or a ``$``."""
    return json.dumps({model.name: {"versions": model.versions, "digest": model.digest} for model in models})


def packaged_models(written: Mapping[str, str]) -> tuple[PackagedModel, ...]:
    """Reads from an image's labels which models are inside; none if the label is missing or damaged."""
    with suppress(ImageError):
        return _packaged(written)
    return ()


def check_packaged(written: Mapping[str, str]) -> None:
    """Checks the label that `packaged_models` reads, if it is there.

    Raises:
        ImageError: the label is not one that tfserve writes.
    """
    _packaged(written)


def _packaged(written: Mapping[str, str]) -> tuple[PackagedModel, ...]:
    if labels.PACKAGED not in written:
        return ()
    try:
        found = labels.read_label(written[labels.PACKAGED])
        return tuple(
            PackagedModel(
                text(name, limit=_MAX_TEXT),
                tuple(map(_version, facts["versions"])),
                text(facts["digest"], limit=_MAX_TEXT),
            )
            for name, facts in found.items()
        )
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ImageError(
            f"The label {labels.PACKAGED} of the image is damaged: {printable(str(error), limit=200)}.",
            hint="Another program made the image, or changed its labels. Package the models again: tfserve package",
        ) from None


def _version(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise TypeError("expected the number of a version")
    return value


def declared_models(written: Mapping[str, str], environment: Mapping[str, str]) -> tuple[PackagedModel, ...]:
    """Reads which models are inside an image from its labels or, if there is none, from its variables.

    The versions and the digest of a model are unknown if the image was created as in TensorFlow's guide
    (``docker commit --change "ENV MODEL_NAME …"``).
    """
    name = model_named(environment)
    return packaged_models(written) or (() if name is None else (PackagedModel(name, (), ""),))

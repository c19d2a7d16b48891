"""Own images: a serving image with models inside, as data. What is asked for, what it says of itself, how to read that.

One model is served as TensorFlow's guide does it, by ``ENV MODEL_NAME``; several by a configuration file in the image,
which the entrypoint names. So plain ``docker run -p 8501:8501 IMAGE`` serves them, and takes more server flags.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tfserve.errors import UsageError
from tfserve.plan import labels
from tfserve.spec.image import MODEL_ROOT, ImageReference, check_new_name
from tfserve.spec.model import ModelSpec
from tfserve.spec.models_config import ServedModel, to_text
from tfserve.spec.values import check_platform
from tfserve.text import rfc3339

__all__ = ["PackageSpec", "parse_labels"]

CONFIG_FILE = ".models.config"  # beside the models, none of which can have this name
_LABEL_NAME = r"[A-Za-z0-9][A-Za-z0-9_./-]*"
_OCI = "org.opencontainers.image"  # https://specs.opencontainers.org/image-spec/annotations/


@dataclass(frozen=True)
class PackageSpec:
    """An own image as somebody asked for it.

    Attributes:
        models: what is to be inside.
        image: its name.
        base: the serving image that it is made from.
        platform: of both; None for the engine's own.
        labels: what somebody wants it to say.
        force: whether it may take the name of an image that is there.
    """

    models: tuple[ModelSpec, ...]
    image: ImageReference
    base: ImageReference = field(default_factory=ImageReference.parse)
    platform: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    force: bool = False

    def __post_init__(self) -> None:
        """Checks what can be checked without looking at the machine."""
        check_platform(self.platform)
        check_new_name(self.image)
        if self.image.qualified == self.base.qualified:
            raise UsageError(
                f"{self.image} is the image that it would be made from.", hint="Choose another --image REPO:TAG."
            )
        names = [model.name for model in self.models]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(
                    f"Two models are named {name!r}; a server tells its models apart by their names.",
                    hint="Name them in their order, for example: --name first --name second",
                )

    @property
    def files(self) -> dict[str, bytes]:
        """What has to be beside the models in the image, by its name."""
        if len(self.models) == 1:
            return {}
        models = (ServedModel(model.name, f"{MODEL_ROOT}/{model.name}") for model in self.models)
        return {CONFIG_FILE: to_text(models).encode()}

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the image's entrypoint finds the models."""
        name = {"MODEL_NAME": self.models[0].name} if len(self.models) == 1 else {}
        return {"MODEL_BASE_PATH": MODEL_ROOT, **name}

    def entrypoint(self, base: Sequence[str]) -> tuple[str, ...]:
        """The entrypoint, when that of the base image is `base`."""
        several = (f"--model_config_file={MODEL_ROOT}/{CONFIG_FILE}",) if self.files else ()
        return (*base, *several)

    def annotations(self, *, base_digest: str | None, created: datetime) -> dict[str, str]:
        """All labels that are known before the models are read.

        Args:
            base_digest: ``sha256:…`` of the base image in its registry; None when it is of no registry.
            created: now.
        """
        digest = {f"{_OCI}.base.digest": base_digest} if base_digest else {}
        return {
            f"{_OCI}.title": ", ".join(model.name for model in self.models),
            f"{_OCI}.version": str(self.image.tag),
            f"{_OCI}.created": rfc3339(created),
            f"{_OCI}.base.name": self.base.qualified,
            **digest,
            **self.labels,
        }


def parse_labels(assignments: Iterable[str]) -> dict[str, str]:
    """Reads ``KEY=VALUE``.

    Raises:
        UsageError: one is not written so, or its key is tfserve's own.
    """
    found: dict[str, str] = {}
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not separator or not re.fullmatch(_LABEL_NAME, name):
            raise UsageError(f"{assignment!r} is not a label.", hint="Write it as --label KEY=VALUE.")
        if name.startswith(labels.PREFIX):
            raise UsageError(f"{name} is a label of tfserve's own.", hint="Choose another key.")
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise UsageError(f"The value of {name} is not text.", hint="A label is UTF-8, without a NUL character.")
        found[name] = value
    return found

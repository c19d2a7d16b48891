"""Serving images with models inside, as data: the user's request, and the resulting configuration and labels.

One model is served with ``ENV MODEL_NAME``, as in TensorFlow's guide; several models with a configuration file in the
image, which is passed in the entrypoint. So plain ``docker run -p 8501:8501 IMAGE`` serves them and accepts more flags.
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

CONFIG_FILE = ".models.config"  # next to the models; no model can have this name
_LABEL_NAME = r"[A-Za-z0-9][A-Za-z0-9_./-]*"
_OCI = "org.opencontainers.image"  # https://specs.opencontainers.org/image-spec/annotations/


@dataclass(frozen=True)
class PackageSpec:
    """The image that the user wants to make.

    Attributes:
        models: the models to put into the image.
        image: the name of the image.
        base: the serving image to use as the base.
        platform: the platform of both images; None for the engine's own.
        labels: the user's labels for the image.
        force: whether to replace an existing image with this name.
    """

    models: tuple[ModelSpec, ...]
    image: ImageReference
    base: ImageReference = field(default_factory=ImageReference.parse)
    platform: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    force: bool = False

    def __post_init__(self) -> None:
        """Checks what does not depend on the machine."""
        check_platform(self.platform)
        check_new_name(self.image)
        if self.image.qualified == self.base.qualified:
            raise UsageError(f"{self.image} is also the base image.", hint="Choose another --image REPO:TAG.")
        names = [model.name for model in self.models]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(
                    f"Two models are named {name!r}, but the names of the models of a server must be different.",
                    hint="Name each model, in the same order, for example: --name first --name second",
                )

    @property
    def files(self) -> dict[str, bytes]:
        """The files to add next to the models in the image, by name."""
        if len(self.models) == 1:
            return {}
        models = (ServedModel(model.name, f"{MODEL_ROOT}/{model.name}") for model in self.models)
        return {CONFIG_FILE: to_text(models).encode()}

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which the entrypoint of the image finds the models."""
        name = {"MODEL_NAME": self.models[0].name} if len(self.models) == 1 else {}
        return {"MODEL_BASE_PATH": MODEL_ROOT, **name}

    def entrypoint(self, base: Sequence[str]) -> tuple[str, ...]:
        """Returns the entrypoint of the image, given the entrypoint of the base image."""
        config = (f"--model_config_file={MODEL_ROOT}/{CONFIG_FILE}",) if self.files else ()
        return (*base, *config)

    def annotations(self, *, base_digest: str | None, created: datetime) -> dict[str, str]:
        """Returns the labels that are known before the models are read.

        Args:
            base_digest: the digest (``sha256:…``) of the base image in its registry; None if it has none.
            created: the current time.
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
    """Parses labels of the form ``KEY=VALUE``.

    Raises:
        UsageError: a label has another form, or its key is reserved for tfserve.
    """
    found: dict[str, str] = {}
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not separator or not re.fullmatch(_LABEL_NAME, name):
            raise UsageError(f"{assignment!r} is not a label.", hint="Write it as --label KEY=VALUE.")
        if name.startswith(labels.PREFIX):
            raise UsageError(f"The label {name} is reserved for tfserve.", hint="Choose another key.")
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise UsageError(
                f"The value of {name} is not valid text.", hint="A label must be UTF-8 without NUL characters."
            )
        found[name] = value
    return found

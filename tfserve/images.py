"""Facts about serving images: how their names are put together, and for which platforms the official ones exist."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tfserve.errors import UsageError

__all__ = ["ImageReference", "serving_image"]

OFFICIAL_REPOSITORY = "tensorflow/serving"
OFFICIAL_PLATFORM = "linux/amd64"  # the only one: https://hub.docker.com/r/tensorflow/serving/tags
GRPC_PORT = 8500
REST_PORT = 8501
MODEL_ROOT = "/models"  # MODEL_BASE_PATH of the official images
CONFIG_ROOT = "/etc/tfserve"  # where a container sees the text files that flags name

# https://pkg.go.dev/github.com/distribution/reference
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_DOMAIN = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::\d+)?)"
_REFERENCE = re.compile(
    rf"(?P<repository>(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?P<digest>@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)


@dataclass(frozen=True)
class ImageReference:
    """The name of an image: ``repository:tag``, or ``repository@sha256:…``."""

    repository: str
    tag: str | None
    digest: str | None = None

    def __str__(self) -> str:
        return f"{self.repository}{f':{self.tag}' if self.tag else ''}{self.digest or ''}"

    @property
    def is_official(self) -> bool:
        """Whether this is one of TensorFlow's own images."""
        return self.repository in (OFFICIAL_REPOSITORY, f"docker.io/{OFFICIAL_REPOSITORY}")


def serving_image(
    image: str | None = None, tag: str | None = None, *, gpu: bool = False, devel: bool = False
) -> ImageReference:
    """Puts the name of a serving image together.

    Args:
        image: a repository with or without a tag or digest; None for ``tensorflow/serving``.
        tag: the tag; None for the one in `image`, or ``latest``.
        gpu: whether to take the image with CUDA: ``latest-gpu``, or ``T-gpu`` for a tag ``T``. Only official images
            have one; another `image` is taken by the name it has.
        devel: whether to take the development image: ``latest-devel``, ``T-devel``.

    Raises:
        UsageError: `image` or `tag` is not a name that Docker accepts, or both name a tag.
    """
    match = _REFERENCE.fullmatch(image if image is not None else OFFICIAL_REPOSITORY)
    if match is None:
        raise UsageError(f"{image!r} is not the name of an image.", hint="Write it as tensorflow/serving:2.19.0.")
    if tag is not None and not _TAG.fullmatch(tag):
        raise UsageError(f"{tag!r} is not a tag.", hint="A tag is letters, digits, '_', '.' and '-': --tag 2.19.0")
    named = match["tag"] or match["digest"]
    if tag is not None and named:
        raise UsageError(f"{image!r} names a version already.", hint="Leave --tag out, or the version in --image.")
    reference = ImageReference(match["repository"], match["tag"] or tag, match["digest"])
    if reference.digest:
        return reference
    chosen = reference.tag or "latest"
    if reference.is_official:
        wanted = (["devel"] if devel else []) + (["gpu"] if gpu else [])
        chosen = "-".join([chosen, *(part for part in wanted if part not in chosen.split("-"))])
    return ImageReference(reference.repository, chosen)

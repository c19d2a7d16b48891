"""The kinds of serving images, and the order in which their tags are listed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, cast, get_args

from tfserve.engines.docker.packaged import model_named
from tfserve.plan import labels
from tfserve.spec.image import OFFICIAL_REPOSITORY, ImageReference

__all__ = ["Kind", "kind_of", "newest_first"]

ENTRYPOINT = "tf_serving_entrypoint.sh"  # in the serving images, and in all images made from them
SOURCE_LABEL = "tensorflow_serving_github_commit"  # on all images built with TensorFlow Serving's Dockerfiles
_VERSION = re.compile(r"\d{1,9}(?:\.\d{1,9})*(?![^-])", re.ASCII)

Kind = Literal["serving", "serving-gpu", "devel", "devel-gpu", "packaged"]
_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


def kind_of(
    reference: ImageReference,
    written: Mapping[str, str],
    entrypoint: Sequence[str] = (),
    environment: Mapping[str, str] = _NO_VARIABLES,
) -> Kind | None:
    """Returns the kind of an image; None if it is not an image of TensorFlow Serving.

    Args:
        reference: the name of the image; the registry does not matter.
        written: the labels of the image.
        entrypoint: the entrypoint of the image.
        environment: the environment variables of the image.
    """
    serves = any(word.endswith(ENTRYPOINT) for word in entrypoint)
    if labels.PACKAGED in written or (serves and model_named(environment)):
        return "packaged"
    if written.get(labels.BUILT) in get_args(Kind):
        return cast(Kind, written[labels.BUILT])
    if not (serves or reference.path == OFFICIAL_REPOSITORY or SOURCE_LABEL in written):
        return None
    words = (reference.tag or "").split("-")
    if "devel" in words:
        return "devel-gpu" if "gpu" in words else "devel"
    return "serving-gpu" if "gpu" in words else "serving"


def newest_first(tags: Iterable[str]) -> list[str]:
    """Sorts tags: ``latest`` and its variants, then versions from newest to oldest, then all others."""
    return sorted(tags, key=_by_age)


def _by_age(tag: str) -> tuple[int, tuple[int, ...], bool, str]:
    version = _VERSION.match(tag)
    if version is None:
        return (0 if tag.partition("-")[0] == "latest" else 2, (), False, tag)
    numbers = tuple(-int(number) for number in version[0].split("."))
    return (1, (*numbers, 1), "-rc" in tag, tag)  # the 1 sorts 2 after 2.19

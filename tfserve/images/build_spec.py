"""Serving images from source, as data: the two steps of TensorFlow Serving's guide, and what each is told.

Source: "Building an optimized serving binary" in ``tensorflow_serving/g3doc/building_with_docker.md``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tfserve.errors import UsageError
from tfserve.images.kinds import Kind
from tfserve.spec.image import ImageReference, check_new_name

__all__ = ["BuildSpec", "BuildStep", "build_steps", "dockerfiles"]

_DIRECTORY = "tensorflow_serving/tools/docker"
_BUILD_IMAGE = "TF_SERVING_BUILD_IMAGE"
_BUILD_OPTIONS = "TF_SERVING_BUILD_OPTIONS"
_BAZEL_OPTIONS = "TF_SERVING_BAZEL_OPTIONS"
_COMMIT = "TF_SERVING_VERSION_GIT_COMMIT"
_TELLS = {
    _BUILD_IMAGE: "from which development image to take the server",
    _BUILD_OPTIONS: "what Bazel compiles with",
    _BAZEL_OPTIONS: "how much memory Bazel may use",
}
_DEVEL_SUFFIX = "-devel"
_ARG = re.compile(r"^[ \t]*ARG[ \t]+(\w+)(?:=(.*))?", re.MULTILINE | re.IGNORECASE)
_LEAST_RAM_MB = 256


@dataclass(frozen=True)
class BuildSpec:
    """A serving image from source as somebody asked for it.

    Attributes:
        source: a checkout of tensorflow/serving.
        image: the name of the serving image; that of the development image follows from it.
        gpu: whether it is for a GPU.
        options: what Bazel compiles with, such as ``--copt=-march=native``; none for those of the Dockerfile.
        ram: what Bazel may take of the memory, in MB; None for what it takes by itself.
        force: whether the image may take the name of one that is there.
    """

    source: Path
    image: ImageReference
    gpu: bool = False
    options: tuple[str, ...] = ()
    ram: int | None = None
    force: bool = False

    def __post_init__(self) -> None:
        """Checks what can be checked without looking at the machine."""
        check_new_name(self.image, _DEVEL_SUFFIX)
        if self.ram is not None and self.ram < _LEAST_RAM_MB:
            raise UsageError(
                f"Bazel compiles nothing with {self.ram} MB of memory.", hint="Give the MB as a number: --ram 2048"
            )
        for option in self.options:
            if not option.startswith("-") or not option.isprintable() or " " in option:
                raise UsageError(
                    f"{option!r} is not an option of Bazel.", hint="Give one at a time: --build-option=--copt=-mavx2"
                )

    @property
    def devel_image(self) -> ImageReference:
        """The name of the development image."""
        return replace(self.image, tag=f"{self.image.tag}{_DEVEL_SUFFIX}")


@dataclass(frozen=True)
class BuildStep:
    """One ``docker build``.

    Attributes:
        dockerfile: its Dockerfile, relative to the source.
        image: the name of what comes out.
        arguments: its ``--build-arg``.
        pull: whether the image that it is made from is to be the newest.
        kind: what comes out.
    """

    dockerfile: str
    image: ImageReference
    arguments: Mapping[str, str]
    pull: bool
    kind: Kind


def dockerfiles(*, gpu: bool) -> tuple[str, str]:
    """The Dockerfiles of the development image and of the serving image, relative to the source."""
    names = ("Dockerfile.devel-gpu", "Dockerfile.gpu") if gpu else ("Dockerfile.devel", "Dockerfile")
    return f"{_DIRECTORY}/{names[0]}", f"{_DIRECTORY}/{names[1]}"


def build_steps(spec: BuildSpec, texts: tuple[str, str], commit: str | None) -> tuple[BuildStep, BuildStep]:
    """Plans the two builds.

    Args:
        spec: what was asked for.
        texts: the Dockerfiles, in the order of `dockerfiles`.
        commit: the commit that is checked out; None when that is not known.

    Raises:
        UsageError: a Dockerfile does not take what it would have to be told.
    """
    names = dockerfiles(gpu=spec.gpu)
    kinds: tuple[Kind, Kind] = ("devel-gpu", "serving-gpu") if spec.gpu else ("devel", "serving")
    needed = (_told(spec, _defaults(texts[0])), {_BUILD_IMAGE: str(spec.devel_image)})
    images = (spec.devel_image, spec.image)
    steps: list[BuildStep] = []
    for name, text, image, arguments, kind in zip(names, texts, images, needed, kinds, strict=True):
        known = _defaults(text)
        if missing := [argument for argument in arguments if argument not in known]:
            raise UsageError(
                f"{name} has no ARG {missing[0]}, so it cannot be told {_TELLS[missing[0]]}.",
                hint="Take the Dockerfiles of a release of tensorflow/serving from 2.0 on.",
            )
        # What is built is what the Dockerfile downloads, not what is beside it: at least let it be the same commit.
        at = {_COMMIT: commit} if commit is not None and _COMMIT in known else {}
        steps.append(BuildStep(name, image, {**at, **arguments}, pull=not steps, kind=kind))
    first, second = steps
    return first, second


def _told(spec: BuildSpec, known: Mapping[str, str]) -> dict[str, str]:
    """What the Dockerfile of the development image is told, when it knows these arguments by these defaults."""
    if spec.ram is None:
        return {_BUILD_OPTIONS: " ".join(spec.options)} if spec.options else {}
    ram = f"--local_ram_resources={spec.ram}"
    if _BAZEL_OPTIONS in known or _BUILD_OPTIONS not in known:
        return {**_told(replace(spec, ram=None), known), _BAZEL_OPTIONS: ram}
    # The guide's own place for it, and in some releases the only one; what is there by default stays.
    return {_BUILD_OPTIONS: " ".join([*(spec.options or known[_BUILD_OPTIONS].split()), ram])}


def _defaults(text: str) -> dict[str, str]:
    """The arguments of a Dockerfile, and what they are by default; nothing where that is made of other variables."""
    written = {name: default.strip().strip("\"'") for name, default in _ARG.findall(text)}
    return {name: "" if "$" in default else default for name, default in written.items()}

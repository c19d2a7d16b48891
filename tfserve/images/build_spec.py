"""Serving images built from source, as data: the two steps of TensorFlow Serving's guide, and their arguments.

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
_MEANINGS = {
    _BUILD_IMAGE: "the development image to copy the server from",
    _BUILD_OPTIONS: "the options for Bazel",
    _BAZEL_OPTIONS: "the memory limit for Bazel",
}
_DEVEL_SUFFIX = "-devel"
_ARG = re.compile(r"^[ \t]*ARG[ \t]+(\w+)(?:=(.*))?", re.MULTILINE | re.IGNORECASE)
_LEAST_RAM_MB = 256


@dataclass(frozen=True)
class BuildSpec:
    """The serving image that the user wants to build.

    Attributes:
        source: a checkout of tensorflow/serving.
        image: the name of the serving image; the name of the development image is derived from it.
        gpu: whether to build with CUDA.
        options: the options for Bazel, such as ``--copt=-march=native``; empty for those of the Dockerfile.
        ram: the memory limit for Bazel in MB; None for Bazel's default.
        force: whether to replace existing images with these names.
    """

    source: Path
    image: ImageReference
    gpu: bool = False
    options: tuple[str, ...] = ()
    ram: int | None = None
    force: bool = False

    def __post_init__(self) -> None:
        """Checks what does not depend on the machine."""
        check_new_name(self.image, _DEVEL_SUFFIX)
        if self.ram is not None and self.ram < _LEAST_RAM_MB:
            raise UsageError(f"Bazel needs more than {self.ram} MB of memory.", hint="Give the limit in MB: --ram 2048")
        for option in self.options:
            if not option.startswith("-") or not option.isprintable() or " " in option:
                raise UsageError(
                    f"{option!r} is not an option of Bazel.",
                    hint="Give one option at a time: --build-option=--copt=-mavx2",
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
        image: the name of the resulting image.
        arguments: its build arguments.
        pull: whether to pull the newest base image.
        kind: the kind of the resulting image.
    """

    dockerfile: str
    image: ImageReference
    arguments: Mapping[str, str]
    pull: bool
    kind: Kind


def dockerfiles(*, gpu: bool) -> tuple[str, str]:
    """Returns the Dockerfiles of the development image and of the serving image, relative to the source."""
    names = ("Dockerfile.devel-gpu", "Dockerfile.gpu") if gpu else ("Dockerfile.devel", "Dockerfile")
    return f"{_DIRECTORY}/{names[0]}", f"{_DIRECTORY}/{names[1]}"


def build_steps(spec: BuildSpec, texts: tuple[str, str], commit: str | None) -> tuple[BuildStep, BuildStep]:
    """Plans the two builds.

    Args:
        spec: the image to build.
        texts: the contents of the Dockerfiles, in the order of `dockerfiles`.
        commit: the commit that is checked out; None if it is not known.

    Raises:
        UsageError: a Dockerfile does not accept a required argument.
    """
    names = dockerfiles(gpu=spec.gpu)
    kinds: tuple[Kind, Kind] = ("devel-gpu", "serving-gpu") if spec.gpu else ("devel", "serving")
    needed = (_devel_arguments(spec, _defaults(texts[0])), {_BUILD_IMAGE: str(spec.devel_image)})
    images = (spec.devel_image, spec.image)
    steps: list[BuildStep] = []
    for name, text, image, arguments, kind in zip(names, texts, images, needed, kinds, strict=True):
        known = _defaults(text)
        if missing := [argument for argument in arguments if argument not in known]:
            raise UsageError(
                f"{name} has no ARG {missing[0]}, which sets {_MEANINGS[missing[0]]}.",
                hint="Use the Dockerfiles of tensorflow/serving 2.0 or newer.",
            )
        # The Dockerfile downloads the sources instead of using the checkout; at least, build the same commit.
        at = {_COMMIT: commit} if commit is not None and _COMMIT in known else {}
        steps.append(BuildStep(name, image, {**at, **arguments}, pull=not steps, kind=kind))
    first, second = steps
    return first, second


def _devel_arguments(spec: BuildSpec, known: Mapping[str, str]) -> dict[str, str]:
    """Returns the build arguments for the development image, whose Dockerfile has these arguments and defaults."""
    if spec.ram is None:
        return {_BUILD_OPTIONS: " ".join(spec.options)} if spec.options else {}
    ram = f"--local_ram_resources={spec.ram}"
    if _BAZEL_OPTIONS in known or _BUILD_OPTIONS not in known:
        return {**_devel_arguments(replace(spec, ram=None), known), _BAZEL_OPTIONS: ram}
    # The guide sets it here, and some releases have no other argument for it; keep the default options.
    return {_BUILD_OPTIONS: " ".join([*(spec.options or known[_BUILD_OPTIONS].split()), ram])}


def _defaults(text: str) -> dict[str, str]:
    """Returns the arguments of a Dockerfile and their defaults; a default that refers to variables is empty."""
    written = {name: default.strip().strip("\"'") for name, default in _ARG.findall(text)}
    return {name: "" if "$" in default else default for name, default in written.items()}

"""The CUDA release in each official serving image, and the oldest driver that it runs on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tfserve.spec.image import ImageReference

__all__ = ["Cuda", "cuda_of"]

# The CUDA release from each release of TensorFlow Serving on. Source: the base image in
# tensorflow_serving/tools/docker/Dockerfile.gpu at each tag of https://github.com/tensorflow/serving.
_CUDA_SINCE = (
    ((2, 20), (12, 5)),
    ((2, 15), (12, 2)),
    ((2, 12), (11, 8)),
    ((2, 5), (11, 2)),
    ((2, 4), (11, 0)),
    ((2, 2), (10, 1)),
    ((1, 13), (10, 0)),
    ((1, 9), (9, 0)),
)

# https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html from CUDA 11 on,
# with one minimum for each major release. For earlier releases, the table "CUDA Toolkit and Corresponding Driver
# Versions" of https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/index.html. Drivers for Linux.
_DRIVER_FOR_MAJOR = {13: (580,), 12: (525, 60, 13), 11: (450, 80, 2)}
_DRIVER_FOR = {(10, 1): (418, 39), (10, 0): (410, 48), (9, 0): (384, 81)}


@dataclass(frozen=True)
class Cuda:
    """A CUDA release, such as (12, 5), and the oldest driver that it runs on, such as (525, 60, 13)."""

    version: tuple[int, int]
    driver: tuple[int, ...]

    @property
    def name(self) -> str:
        """The usual name: ``CUDA 12.5``."""
        return "CUDA {}.{}".format(*self.version)

    @property
    def driver_name(self) -> str:
        """The oldest driver in NVIDIA's notation: ``525.60.13``."""
        return ".".join(f"{number:02d}" for number in self.driver)

    def runs_on(self, driver: str) -> bool:
        """Whether a driver with this version, such as ``550.54.15``, is new enough; true if it is not a number."""
        numbers = tuple(map(int, re.findall(r"\d+", driver)))
        return not numbers or numbers >= self.driver


def cuda_of(image: ImageReference) -> Cuda | None:
    """Returns the CUDA release of an official serving image; None if the image is not official or not known.

    A tag without a release number, such as ``latest-gpu``, is assumed to be the newest release.
    """
    if not image.is_official or image.tag is None:
        return None
    release = re.match(r"(\d+)\.(\d+)", image.tag)
    version = (int(release[1]), int(release[2])) if release else _CUDA_SINCE[0][0]
    cuda = next((cuda for since, cuda in _CUDA_SINCE if version >= since), None)
    return cuda and Cuda(cuda, _DRIVER_FOR.get(cuda) or _DRIVER_FOR_MAJOR[cuda[0]])

"""Causes of a failed start that are different for a container than for a process."""

from __future__ import annotations

from tfserve.engines.base import Diagnosis
from tfserve.engines.diagnosis import BUILT_FOR_ANOTHER_CPU, Causes, is_exec_format_error, is_illegal_instruction
from tfserve.engines.registry import engines_without_images
from tfserve.errors import Wording

__all__ = ["docker_causes"]


def docker_causes() -> Causes:
    """The causes, whose hints name the engines that need no image."""
    others = engines_without_images()
    return (
        (
            is_illegal_instruction,
            Diagnosis(
                BUILT_FOR_ANOTHER_CPU,
                Wording(
                    "The official images need AVX on amd64, which QEMU emulates from version 7.2 on. Build an image "
                    "for this CPU, or serve without an image: {others}",
                    others=others,
                ),
                doctor=True,
            ),
        ),
        (
            is_exec_format_error,
            Diagnosis(
                "The image is for another platform than this machine (exec format error).",
                # https://docs.docker.com/build/building/multi-platform/#install-qemu-manually
                Wording(
                    "Serve without an image: {others}\nOr emulate its platform: docker run --privileged --rm "
                    "tonistiigi/binfmt --install all",
                    others=others,
                ),
                doctor=True,
            ),
        ),
    )

"""Builds a stub of NVIDIA's driver library, with which machines without a GPU can test the code for GPUs."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["GIB", "Card", "build", "environment", "for_another_cpu", "real_gpu"]

GIB = 2**30
_SOURCE = Path(__file__).with_name("libnvidia-ml.c")
_LIBRARY = "libnvidia-ml.so.1"
_E_MACHINE = 18  # the offset of this field in an ELF header
_RISC_V = 243  # a CPU that no test runs on


@dataclass(frozen=True)
class Card:
    """A GPU that the stub reports.

    Attributes:
        name: its model; ``lost`` for a GPU that does not respond.
        uuid: its UUID.
        memory: its memory in bytes.
        free: how much of that is free.
        slices: the UUIDs of its MIG devices; None if it is not in MIG mode.
    """

    name: str = "NVIDIA A100-SXM4-80GB"
    uuid: str = "GPU-00000000-aaaa-bbbb-cccc-000000000000"
    memory: int = 80 * GIB
    free: int = 79 * GIB
    slices: tuple[str, ...] | None = None

    def __str__(self) -> str:
        fields = [self.name, self.uuid, str(self.memory), str(self.free)]
        return "|".join([*fields, *([] if self.slices is None else [",".join(self.slices) or "-"])])


def build(directory: Path) -> Path:
    """Builds the library in `directory`, and returns `directory`."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("cc, which compiles the stub of NVML, was not found")
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(directory / _LIBRARY), str(_SOURCE)]
    subprocess.run(command, check=True)
    return directory


def for_another_cpu(built: Path, directory: Path) -> Path:
    """Copies the library of `built` into `directory`, marked as compiled for another CPU, and returns `directory`."""
    data = bytearray((built / _LIBRARY).read_bytes())
    data[_E_MACHINE] = _RISC_V
    (directory / _LIBRARY).write_bytes(data)
    return directory


def environment(library: Path, *cards: Card, **settings: str) -> dict[str, str]:
    """Returns the environment variables with which a process finds the stub and these GPUs.

    Args:
        library: the directory of the stub.
        cards: the GPUs.
        settings: other variables of the stub, without ``TFSERVE_TEST_NVML_`` and in lower case.
    """
    variables = {f"TFSERVE_TEST_NVML_{name.upper()}": value for name, value in settings.items()}
    return {"LD_LIBRARY_PATH": str(library), "TFSERVE_TEST_NVML_GPUS": ";".join(map(str, cards)), **variables}


def real_gpu() -> bool:
    """Whether this machine has a GPU, which tests then use instead of the stub where they can."""
    return Path("/dev/nvidia0").exists()

"""A driver library for machines without a GPU: what tfserve sees of NVIDIA at its outermost edge, nothing more."""

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
_E_MACHINE = 18  # its place in an ELF header
_NO_MACHINE_OF_OURS = 243  # RISC-V


@dataclass(frozen=True)
class Card:
    """A GPU to be shown; `slices` of None is one that is not in MIG mode."""

    name: str = "NVIDIA A100-SXM4-80GB"
    uuid: str = "GPU-00000000-aaaa-bbbb-cccc-000000000000"
    memory: int = 80 * GIB
    free: int = 79 * GIB
    slices: tuple[str, ...] | None = None

    def __str__(self) -> str:
        fields = [self.name, self.uuid, str(self.memory), str(self.free)]
        return "|".join([*fields, *([] if self.slices is None else [",".join(self.slices) or "-"])])


def build(directory: Path) -> Path:
    """Builds the library in `directory`, and returns that."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("the stand-in for NVML is built with cc, which is not here")
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(directory / _LIBRARY), str(_SOURCE)]
    subprocess.run(command, check=True)
    return directory


def for_another_cpu(built: Path, directory: Path) -> Path:
    """The library of `built`, as one for a CPU that this machine does not have."""
    data = bytearray((built / _LIBRARY).read_bytes())
    data[_E_MACHINE] = _NO_MACHINE_OF_OURS
    (directory / _LIBRARY).write_bytes(data)
    return directory


def environment(library: Path, *cards: Card, **settings: str) -> dict[str, str]:
    """The variables of a process that sees these GPUs; `settings` are those of the library, in lower case."""
    told = {f"TFSERVE_TEST_NVML_{name.upper()}": value for name, value in settings.items()}
    return {"LD_LIBRARY_PATH": str(library), "TFSERVE_TEST_NVML_GPUS": ";".join(map(str, cards)), **told}


def real_gpu() -> bool:
    """Whether this machine has a GPU of its own: then the tests of the good cases use it."""
    return Path("/dev/nvidia0").exists()

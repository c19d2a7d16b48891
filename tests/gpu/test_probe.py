from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.nvidia.stub import GIB, Card, environment, for_another_cpu, real_gpu
from tfserve.gpu.probe import Gpu, GpuFacts, GpuProbe

PROBE = """
from tfserve.gpu.probe import GpuProbe
print(GpuProbe({seconds}).facts())
"""


def facts(variables: dict[str, str], seconds: float = 10.0) -> GpuFacts:
    """Returns the facts in a new process with these variables: LD_LIBRARY_PATH is read when a process starts."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(seconds=seconds)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    names: dict[str, Any] = {"GpuFacts": GpuFacts, "Gpu": Gpu, "frozenset": frozenset}
    return eval(done.stdout, names)  # type: ignore[no-any-return] # the repr of a dataclass


def test_this_machine() -> None:
    devices = list(Path("/dev").glob("nvidia[0-9]*"))
    seen = GpuProbe().facts()
    assert [gpu.index for gpu in seen.gpus] == list(range(len(devices)))
    assert all(gpu.name and gpu.uuid.startswith("GPU-") and gpu.memory > GIB for gpu in seen.gpus)
    assert bool(seen.driver) is bool(seen.gpus)
    assert (seen.failure is None) is bool(seen.gpus)


def test_two_gpus(nvml: Path) -> None:
    seen = facts({} if real_gpu() else environment(nvml, Card(), Card(uuid="GPU-1")))
    assert seen.failure is None
    assert seen.present
    assert seen.driver
    assert seen.cuda is not None
    assert seen.cuda >= (10, 0)
    assert all(gpu.uuid.startswith("GPU-") and 0 < gpu.free <= gpu.memory for gpu in seen.gpus)
    assert [gpu.index for gpu in seen.gpus] == list(range(len(seen.gpus)))


def test_all_facts(nvml: Path) -> None:
    whole, partitioned = Card(free=GIB), Card(name="NVIDIA H100", uuid="GPU-1", slices=("MIG-a", "MIG-b"))
    shown = environment(nvml, whole, partitioned, Card(slices=()), Card(name="lost"), driver="470.1", cuda="11040")
    seen = facts(shown)
    assert (seen.driver, seen.cuda, seen.failure) == ("470.1", (11, 4), None)
    assert seen.gpus[:3] == (
        Gpu(0, whole.name, whole.uuid, whole.memory, GIB),
        Gpu(1, "NVIDIA H100", "GPU-1", whole.memory, 79 * GIB, partitioned=True, slices=("MIG-a", "MIG-b")),
        Gpu(2, whole.name, whole.uuid, whole.memory, 79 * GIB, partitioned=True),
    )
    assert seen.gpus[3].failure == "GPU is lost"


@pytest.mark.parametrize(
    ("settings", "failure"),
    [
        ({"error": "18"}, "mismatch"),
        ({"error": "9"}, "no driver"),
        ({"error": "4"}, "no permission"),
        ({"error": "999"}, "fails"),
        ({"crash": "1"}, "crashes"),
    ],
)
def test_failures(nvml: Path, settings: dict[str, str], failure: str) -> None:
    seen = facts(environment(nvml, **settings))
    assert (seen.failure, seen.gpus) == (failure, ())
    assert seen.details
    assert seen.present


def test_driver_that_hangs(nvml: Path) -> None:
    begin = time.monotonic()
    seen = facts(environment(nvml, Card(), hang="1"), seconds=0.2)
    assert (seen.failure, seen.details) == ("hangs", "NVML did not respond within 0.2 s")
    assert time.monotonic() - begin < 30  # the driver would hang forever


@pytest.mark.skipif(real_gpu(), reason="the loader skips the library and finds the real driver's")
def test_library_for_another_cpu(nvml: Path, tmp_path: Path) -> None:
    assert facts({"LD_LIBRARY_PATH": str(for_another_cpu(nvml, tmp_path))}).failure == "wrong architecture"


@pytest.mark.skipif(real_gpu(), reason="this machine has a driver")
def test_no_driver() -> None:
    seen = facts({})
    assert (seen.failure, seen.present) == ("no library", bool(seen.cards))


def test_toolkit_in_the_path_of_root(tmp_path: Path) -> None:
    for name in ("nvidia-ctk", "nvidia-container-runtime-hook"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    seen = facts({"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert {"nvidia-ctk", "nvidia-container-runtime-hook"} <= seen.programs

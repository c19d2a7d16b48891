from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tfserve.gpu.checks import HOOK, GpuNeeds, chosen_gpus, first_problem
from tfserve.gpu.cuda import cuda_of
from tfserve.gpu.probe import Gpu, GpuFacts
from tfserve.host.system import System
from tfserve.plan.engine_facts import EngineFacts
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.image import ImageReference

GIB = 2**30
FIRST = Gpu(0, "NVIDIA A100", "GPU-0", 80 * GIB, 79 * GIB)
SECOND = Gpu(1, "NVIDIA L4", "GPU-1", 24 * GIB, 23 * GIB)
SLICED = Gpu(0, "NVIDIA H100", "GPU-2", 80 * GIB, 0, partitioned=True, slices=("MIG-a", "MIG-b"))
GOOD = GpuFacts((FIRST, SECOND), "550.54.15", (12, 4), cards=2, programs=frozenset({"nvidia-ctk", HOOK}))
WITH_RUNTIME, WITHOUT = EngineFacts(runtimes=frozenset({"runc", "nvidia"})), EngineFacts()
NEWEST = cuda_of(ImageReference.parse().official_variant(gpu=True))
DEBIAN, FEDORA = System("debian", "debian"), System("fedora", "fedora")
UBUNTU, WSL = System("debian", "ubuntu"), System("debian", "ubuntu", wsl=True, systemd=False)


def devices(*names: str) -> GpuNeeds:
    return GpuNeeds(GpuRequest(devices=names), cuda=NEWEST)


@pytest.mark.parametrize("engine", [WITH_RUNTIME, WITHOUT, EngineFacts(devices=frozenset({"nvidia.com/gpu=all"}))])
@pytest.mark.parametrize(
    "needs",
    [
        GpuNeeds(cuda=NEWEST),
        GpuNeeds(GpuRequest(count=2)),
        GpuNeeds(fraction=0.9),
        devices("0", "1"),
        devices("GPU-1"),
    ],
)
def test_a_chain_that_holds(engine: EngineFacts, needs: GpuNeeds) -> None:
    assert first_problem(GOOD, engine, needs, DEBIAN) is None


def test_a_slice_is_a_gpu() -> None:
    sliced = replace(GOOD, gpus=(SLICED,))
    for name in ("MIG-b", "0:1"):
        assert first_problem(sliced, WITH_RUNTIME, devices(name), DEBIAN) is None


def gone(failure: Any, **changes: Any) -> GpuFacts:
    return GpuFacts(failure=failure, **{"cards": 1, "details": "NVML's words", **changes})


BROKEN: dict[str, tuple[GpuFacts, EngineFacts, GpuNeeds, System, str, str]] = {
    "no GPU": (gone("no library", cards=0), WITHOUT, GpuNeeds(), DEBIAN, "has no NVIDIA GPU", "--no-gpu"),
    "no driver": (gone("no library"), WITHOUT, GpuNeeds(), DEBIAN, "no driver for it", "install -y nvidia-driver"),
    "no driver on Fedora": (gone("no library"), WITHOUT, GpuNeeds(), FEDORA, "no driver", "dnf install -y akmod"),
    "no driver in WSL": (gone("no library", cards=0), WITHOUT, GpuNeeds(), WSL, "WSL sees no", "on Windows"),
    "not loaded": (gone("no driver"), WITHOUT, GpuNeeds(), DEBIAN, "not loaded. NVML says: NVML's", "modprobe nvidia"),
    "mismatch": (gone("mismatch"), WITHOUT, GpuNeeds(), DEBIAN, "driver/library version mismatch", "sudo rmmod"),
    "mismatch in WSL": (gone("mismatch"), WITHOUT, GpuNeeds(), WSL, "mismatch", "wsl --shutdown"),
    "no permission": (gone("no permission"), WITHOUT, GpuNeeds(), DEBIAN, "This user may not", "usermod -aG video"),
    "foreign": (gone("wrong architecture"), WITHOUT, GpuNeeds(), DEBIAN, "for another CPU", "nvidia-driver"),
    "hangs": (gone("hangs"), WITHOUT, GpuNeeds(), DEBIAN, "driver hangs", "dmesg"),
    "hangs in WSL": (gone("hangs"), WITHOUT, GpuNeeds(), WSL, "driver hangs: NVML's words.", "wsl --shutdown"),
    "crashes": (gone("crashes"), WITHOUT, GpuNeeds(), DEBIAN, "does not work", "nvidia-smi"),
    "fails": (gone("fails"), WITHOUT, GpuNeeds(), DEBIAN, "does not work. NVML says: NVML's words.", "nvidia-smi"),
    "shows none": (replace(GOOD, gpus=()), WITHOUT, GpuNeeds(), DEBIAN, "shows no GPU", "lspci -d 10de:"),
    "lost": (
        replace(GOOD, gpus=(replace(FIRST, failure="GPU is lost"),)),
        WITH_RUNTIME,
        GpuNeeds(),
        DEBIAN,
        "GPU 0 does not answer: GPU is lost",
        "dmesg",
    ),
    "index": (GOOD, WITH_RUNTIME, devices("0", "7"), DEBIAN, "There is no GPU 7 here", "1 (NVIDIA L4, GPU-1)"),
    "UUID": (GOOD, WITH_RUNTIME, devices("GPU-7"), DEBIAN, "There is no GPU GPU-7", "0 (NVIDIA A100, GPU-0)"),
    "number": (GOOD, WITH_RUNTIME, GpuNeeds(GpuRequest(count=3)), DEBIAN, "not 3 GPUs here but 2", "There are:"),
    "old driver": (
        replace(GOOD, driver="470.256.02"),
        WITH_RUNTIME,
        GpuNeeds(cuda=NEWEST),
        FEDORA,
        "driver 470.256.02 is too old: the image has CUDA 12.5, which needs 525.60.13 or newer",
        "--tag",
    ),
    "MIG": (
        replace(GOOD, gpus=(SLICED, SECOND)),
        WITH_RUNTIME,
        devices("0"),
        DEBIAN,
        "is partitioned (MIG): a server gets one of its 2 instances",
        "--gpus MIG-a or --gpus MIG-b or --gpus device=1",
    ),
    "MIG without instances": (
        replace(GOOD, gpus=(replace(SLICED, slices=()),)),
        WITH_RUNTIME,
        GpuNeeds(),
        DEBIAN,
        "in MIG mode and has no instances",
        "nvidia-smi mig -i 0 -cgi 0 -C",
    ),
    "full": (
        replace(GOOD, gpus=(replace(FIRST, free=GIB // 4), SECOND)),
        WITH_RUNTIME,
        devices("0"),
        DEBIAN,
        "GPU 0 (NVIDIA A100) is full: 79.8 of 80.0 GiB are taken",
        "Room is on: --gpus device=1",
    ),
    "less than the share": (
        replace(GOOD, gpus=(replace(FIRST, free=30 * GIB),)),
        WITH_RUNTIME,
        GpuNeeds(fraction=0.5),
        DEBIAN,
        "--gpu-memory-fraction 0.5 asks for more than is left",
        "nvidia-smi",
    ),
    "no toolkit": (
        replace(GOOD, programs=frozenset()),
        WITHOUT,
        GpuNeeds(),
        DEBIAN,
        "Toolkit is not installed",
        "apt-get install -y nvidia-container-toolkit\nsudo nvidia-ctk runtime configure",
    ),
    "no toolkit on Fedora": (
        replace(GOOD, programs=frozenset()),
        WITHOUT,
        GpuNeeds(),
        FEDORA,
        "Toolkit is not installed",
        "sudo dnf install -y nvidia-container-toolkit",
    ),
    "not registered": (
        replace(GOOD, programs=frozenset({"nvidia-ctk"})),
        WITHOUT,
        GpuNeeds(),
        DEBIAN,
        "not registered with the Docker Engine",
        "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker",
    ),
    "not registered, rootless": (
        replace(GOOD, programs=frozenset({"nvidia-ctk"})),
        EngineFacts(rootless=True),
        GpuNeeds(),
        DEBIAN,
        "not registered",
        "systemctl --user restart docker",
    ),
    "Docker Desktop": (
        replace(GOOD, programs=frozenset()),
        EngineFacts(desktop=True),
        GpuNeeds(),
        WSL,
        "Docker Desktop offers no GPU",
        "https://docs.docker.com/desktop/features/gpu/",
    ),
    "macOS": (gone("no library", cards=0), EngineFacts(), GpuNeeds(), System("macos"), "On macOS", "DOCKER_HOST"),
}


@pytest.mark.parametrize(("gpus", "engine", "needs", "system", "cause", "mend"), BROKEN.values(), ids=BROKEN)
def test_each_broken_link_has_its_own_words(
    gpus: GpuFacts, engine: EngineFacts, needs: GpuNeeds, system: System, cause: str, mend: str
) -> None:
    broken = first_problem(gpus, engine, needs, system)
    assert broken is not None
    assert cause in broken.cause
    assert mend in broken.fix


@pytest.mark.parametrize("system", [DEBIAN, UBUNTU, FEDORA, WSL])
def test_each_link_is_mended_with_commands_of_its_system(system: System) -> None:
    no_toolkit = replace(GOOD, programs=frozenset())
    unregistered = replace(GOOD, programs=frozenset({"nvidia-ctk"}))
    restart = "service docker restart" if system == WSL else "systemctl restart docker"
    toolkit = "dnf install -y nvidia-container-toolkit" if system == FEDORA else "apt-get install -y nvidia-container"
    driver = {
        DEBIAN: "apt-get install -y nvidia-driver",
        UBUNTU: "ubuntu-drivers install",
        FEDORA: "dnf install -y akmod-nvidia",
        WSL: "on Windows, none in WSL",
    }[system]
    for gpus, words in (
        (gone("no library"), (driver,)),
        (gone("wrong architecture"), (driver,)),
        (replace(GOOD, driver="470.256.02"), (driver,)),
        (gone("hangs"), ("wsl --shutdown" if system == WSL else "sudo reboot",)),
        (no_toolkit, (toolkit, "nvidia-ctk runtime configure", restart)),
        (unregistered, ("nvidia-ctk runtime configure", restart)),
    ):
        broken = first_problem(gpus, WITHOUT, GpuNeeds(cuda=NEWEST), system)
        assert broken is not None
        assert all(word in broken.fix for word in words), broken


def test_one_full_gpu_among_others_is_no_obstacle() -> None:
    one_full = replace(GOOD, gpus=(replace(FIRST, free=0), SECOND))
    assert first_problem(one_full, WITH_RUNTIME, GpuNeeds(), DEBIAN) is None


def test_which_ones_are_meant() -> None:
    assert chosen_gpus(GOOD, GpuRequest()) == (FIRST, SECOND)
    assert chosen_gpus(GOOD, GpuRequest(count=1)) == (FIRST,)
    assert chosen_gpus(GOOD, GpuRequest(devices=("GPU-1",))) == (SECOND,)
    assert chosen_gpus(replace(GOOD, gpus=(SLICED, SECOND)), GpuRequest(devices=("MIG-a",))) == (SLICED,)

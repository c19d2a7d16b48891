from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.wording import as_typed
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
def test_no_problem(engine: EngineFacts, needs: GpuNeeds) -> None:
    assert first_problem(GOOD, engine, needs, DEBIAN) is None


def test_slice_of_a_gpu() -> None:
    sliced = replace(GOOD, gpus=(SLICED,))
    for name in ("MIG-b", "0:1"):
        assert first_problem(sliced, WITH_RUNTIME, devices(name), DEBIAN) is None


def failed(failure: Any, **changes: Any) -> GpuFacts:
    return GpuFacts(failure=failure, **{"cards": 1, "details": "NVML's words", **changes})


PROBLEMS: dict[str, tuple[GpuFacts, EngineFacts, GpuNeeds, System, str, str]] = {
    "no GPU": (failed("no library", cards=0), WITHOUT, GpuNeeds(), DEBIAN, "has no NVIDIA GPU", "--no-gpu"),
    "no driver": (failed("no library"), WITHOUT, GpuNeeds(), DEBIAN, "no driver for it", "install -y nvidia-driver"),
    "no driver on Fedora": (failed("no library"), WITHOUT, GpuNeeds(), FEDORA, "no driver", "dnf install -y akmod"),
    "no driver in WSL": (failed("no library", cards=0), WITHOUT, GpuNeeds(), WSL, "WSL has no", "on Windows"),
    "not loaded": (
        failed("no driver"),
        WITHOUT,
        GpuNeeds(),
        DEBIAN,
        "not loaded. NVML reports: NVML's",
        "modprobe nvidia",
    ),
    "mismatch": (failed("mismatch"), WITHOUT, GpuNeeds(), DEBIAN, "driver/library version mismatch", "sudo rmmod"),
    "mismatch in WSL": (failed("mismatch"), WITHOUT, GpuNeeds(), WSL, "mismatch", "wsl --shutdown"),
    "no permission": (
        failed("no permission"),
        WITHOUT,
        GpuNeeds(),
        DEBIAN,
        "This user has no permission",
        "usermod -aG video",
    ),
    "foreign": (
        failed("wrong architecture"),
        WITHOUT,
        GpuNeeds(),
        DEBIAN,
        "not for this machine's CPU",
        "nvidia-driver",
    ),
    "hangs": (failed("hangs"), WITHOUT, GpuNeeds(), DEBIAN, "driver hangs", "dmesg"),
    "hangs in WSL": (failed("hangs"), WITHOUT, GpuNeeds(), WSL, "driver hangs: NVML's words.", "wsl --shutdown"),
    "crashes": (failed("crashes"), WITHOUT, GpuNeeds(), DEBIAN, "does not work", "nvidia-smi"),
    "fails": (failed("fails"), WITHOUT, GpuNeeds(), DEBIAN, "does not work. NVML reports: NVML's words.", "nvidia-smi"),
    "lists none": (replace(GOOD, gpus=()), WITHOUT, GpuNeeds(), DEBIAN, "lists no GPU", "lspci -d 10de:"),
    "lost": (
        replace(GOOD, gpus=(replace(FIRST, failure="GPU is lost"),)),
        WITH_RUNTIME,
        GpuNeeds(),
        DEBIAN,
        "GPU 0 does not respond: GPU is lost",
        "dmesg",
    ),
    "index": (GOOD, WITH_RUNTIME, devices("0", "7"), DEBIAN, "This machine has no GPU 7.", "1 (NVIDIA L4, GPU-1)"),
    "UUID": (GOOD, WITH_RUNTIME, devices("GPU-7"), DEBIAN, "This machine has no GPU GPU-7", "0 (NVIDIA A100, GPU-0)"),
    "number": (
        GOOD,
        WITH_RUNTIME,
        GpuNeeds(GpuRequest(count=3)),
        DEBIAN,
        "3 GPUs were requested, but this machine has 2",
        "Available:",
    ),
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
        "is partitioned (MIG): a server can use one of its 2 instances",
        "as --gpus: MIG-a or MIG-b or device=1",
    ),
    "MIG without instances": (
        replace(GOOD, gpus=(replace(SLICED, slices=()),)),
        WITH_RUNTIME,
        GpuNeeds(),
        DEBIAN,
        "in MIG mode but has no instances",
        "nvidia-smi mig -i 0 -cgi 0 -C",
    ),
    "full": (
        replace(GOOD, gpus=(replace(FIRST, free=GIB // 4), SECOND)),
        WITH_RUNTIME,
        devices("0"),
        DEBIAN,
        "GPU 0 (NVIDIA A100) is full: 79.8 of 80.0 GiB are in use",
        "Another GPU has free memory: --gpus device=1",
    ),
    "less than the fraction": (
        replace(GOOD, gpus=(replace(FIRST, free=30 * GIB),)),
        WITH_RUNTIME,
        GpuNeeds(fraction=0.5),
        DEBIAN,
        "--gpu-memory-fraction 0.5 needs more than the rest",
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
        "Docker Desktop does not offer a GPU",
        "https://docs.docker.com/desktop/features/gpu/",
    ),
    "macOS": (failed("no library", cards=0), EngineFacts(), GpuNeeds(), System("macos"), "On macOS", "DOCKER_HOST"),
}


@pytest.mark.parametrize(("gpus", "engine", "needs", "system", "cause", "fix"), PROBLEMS.values(), ids=PROBLEMS)
def test_problems(gpus: GpuFacts, engine: EngineFacts, needs: GpuNeeds, system: System, cause: str, fix: str) -> None:
    problem = first_problem(gpus, engine, needs, system)
    assert problem is not None
    assert cause in as_typed(problem.cause)
    assert fix in as_typed(problem.fix)


@pytest.mark.parametrize("system", [DEBIAN, UBUNTU, FEDORA, WSL])
def test_fixes_use_the_commands_of_the_system(system: System) -> None:
    no_toolkit = replace(GOOD, programs=frozenset())
    unregistered = replace(GOOD, programs=frozenset({"nvidia-ctk"}))
    restart = "service docker restart" if system == WSL else "systemctl restart docker"
    toolkit = "dnf install -y nvidia-container-toolkit" if system == FEDORA else "apt-get install -y nvidia-container"
    driver = {
        DEBIAN: "apt-get install -y nvidia-driver",
        UBUNTU: "ubuntu-drivers install",
        FEDORA: "dnf install -y akmod-nvidia",
        WSL: "on Windows, not in WSL",
    }[system]
    for gpus, words in (
        (failed("no library"), (driver,)),
        (failed("wrong architecture"), (driver,)),
        (replace(GOOD, driver="470.256.02"), (driver,)),
        (failed("hangs"), ("wsl --shutdown" if system == WSL else "sudo reboot",)),
        (no_toolkit, (toolkit, "nvidia-ctk runtime configure", restart)),
        (unregistered, ("nvidia-ctk runtime configure", restart)),
    ):
        problem = first_problem(gpus, WITHOUT, GpuNeeds(cuda=NEWEST), system)
        assert problem is not None
        assert all(word in as_typed(problem.fix) for word in words), problem


def test_one_full_gpu_among_others() -> None:
    one_full = replace(GOOD, gpus=(replace(FIRST, free=0), SECOND))
    assert first_problem(one_full, WITH_RUNTIME, GpuNeeds(), DEBIAN) is None


def test_chosen_gpus() -> None:
    assert chosen_gpus(GOOD, GpuRequest()) == (FIRST, SECOND)
    assert chosen_gpus(GOOD, GpuRequest(count=1)) == (FIRST,)
    assert chosen_gpus(GOOD, GpuRequest(devices=("GPU-1",))) == (SECOND,)
    assert chosen_gpus(replace(GOOD, gpus=(SLICED, SECOND)), GpuRequest(devices=("MIG-a",))) == (SLICED,)

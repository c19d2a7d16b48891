"""The chain from an NVIDIA GPU to a container, link by link: which one is broken, and the command that mends it.

Pure functions of facts: what NVML says, what the engine says, and what the image needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tfserve.spec.gpus import GpuRequest

if TYPE_CHECKING:
    from tfserve.gpu.cuda import Cuda
    from tfserve.gpu.probe import Failure, Gpu, GpuFacts
    from tfserve.host.system import System
    from tfserve.plan.engine_facts import EngineFacts

__all__ = [
    "HOOK",
    "GpuNeeds",
    "GpuProblem",
    "chosen_gpus",
    "cuda_problem",
    "driver_problem",
    "engine_problem",
    "first_problem",
    "memory_problem",
    "partition_problem",
]

HOOK = "nvidia-container-runtime-hook"
_SEE_WHY = "See why: sudo dmesg | grep -i -e nvrm -e xid"
_WORKING_MEMORY = 512 * 2**20  # CUDA's own context and libraries, before the first tensor


@dataclass(frozen=True)
class GpuProblem:
    """What is broken, in one sentence, and how it is mended: commands, a line each, or a sentence."""

    cause: str
    fix: str


@dataclass(frozen=True)
class GpuNeeds:
    """What a server needs of the GPUs.

    Attributes:
        request: which ones.
        fraction: the share of the memory of each that the server takes at its start; None lets TensorFlow choose.
        cuda: the CUDA of its image; None for one that is not known.
    """

    request: GpuRequest = field(default_factory=GpuRequest)
    fraction: float | None = None
    cuda: Cuda | None = None


def first_problem(gpus: GpuFacts, engine: EngineFacts, needs: GpuNeeds, system: System) -> GpuProblem | None:
    """Finds the first broken link between the GPUs of this machine and a container of an engine on it.

    Returns:
        None when a container can use the GPUs.
    """
    links: tuple[Callable[[], GpuProblem | None], ...] = (
        lambda: desktop_problem(engine, system),
        lambda: driver_problem(gpus, system),
        lambda: choice_problem(gpus, needs.request),
        lambda: cuda_problem(gpus, needs.cuda, system),
        lambda: partition_problem(gpus, needs.request),
        lambda: memory_problem(gpus, needs),
        lambda: engine_problem(gpus, engine, system),
    )
    return next((broken for link in links if (broken := link()) is not None), None)


def desktop_problem(engine: EngineFacts, system: System) -> GpuProblem | None:
    """Whether the engine runs in a virtual machine that no GPU reaches."""
    if system.family != "macos":
        return None
    return GpuProblem(
        "On macOS no container has a GPU: the engine runs in a virtual machine without one.",
        "Do without one with --no-gpu, or use the engine of a machine with an NVIDIA GPU (DOCKER_HOST).",
    )


def driver_problem(gpus: GpuFacts, system: System) -> GpuProblem | None:
    """Whether the driver is there, and answers."""
    if gpus.failure is not None:
        return _absent_driver(gpus, system) if gpus.failure == "no library" else _failed_driver(gpus, system)
    if not gpus.gpus:
        return GpuProblem(
            f"The NVIDIA driver {gpus.driver} shows no GPU.",
            "See whether the system has one: lspci -d 10de:   and what the driver says: nvidia-smi",
        )
    lost = [gpu for gpu in gpus.gpus if gpu.failure]
    if len(lost) == len(gpus.gpus):
        return GpuProblem(
            f"{_named(lost)} {_does(lost, 'does', 'do')} not answer: {lost[0].failure}.",
            f"{_SEE_WHY}   then: {system.restart_machine}",
        )
    return None


def _absent_driver(gpus: GpuFacts, system: System) -> GpuProblem:
    if not gpus.cards and not system.wsl:
        return GpuProblem(
            "This machine has no NVIDIA GPU: none is on its PCI bus, and there is no driver.",
            "Do without one with --no-gpu, or use the engine of a machine that has one (DOCKER_HOST).",
        )
    return GpuProblem(
        "There is an NVIDIA GPU but no driver for it: libnvidia-ml.so.1 is not installed."
        if gpus.cards
        else "WSL sees no NVIDIA driver: libnvidia-ml.so.1 comes from the one of Windows.",
        system.install_driver,
    )


def _failed_driver(gpus: GpuFacts, system: System) -> GpuProblem:
    said = f" NVML says: {gpus.details.rstrip('.')}." if gpus.details else ""
    reload = "sudo rmmod nvidia_uvm nvidia_drm nvidia_modeset nvidia && sudo modprobe nvidia   (or: sudo reboot)"
    links: dict[Failure | None, GpuProblem] = {
        "no driver": GpuProblem(
            f"The NVIDIA driver is installed but not loaded.{said}",
            system.install_driver if system.wsl else "sudo modprobe nvidia   (after an update of the kernel: reboot)",
        ),
        "mismatch": GpuProblem(
            f"The NVIDIA driver in the kernel is not the one whose library is installed (driver/library version "
            f"mismatch): it was updated and not yet loaded.{said}",
            system.restart_machine if system.wsl else reload,
        ),
        "no permission": GpuProblem(
            f"This user may not use the NVIDIA driver.{said}",
            'See who may: ls -l /dev/nvidia*   then: sudo usermod -aG video "$USER" (log out and in again)',
        ),
        "wrong architecture": GpuProblem(
            f"The installed libnvidia-ml.so.1 is for another CPU than this one ({system.machine}).",
            f"Install the driver of this machine:\n{system.install_driver}",
        ),
        "hangs": GpuProblem(
            f"The NVIDIA driver hangs: {gpus.details}.",
            f"{_SEE_WHY}   then: {system.restart_machine}",
        ),
    }
    crashed = f" {gpus.details}." if gpus.failure == "crashes" else said  # then it is not NVML that says so
    broken = GpuProblem(
        f"The NVIDIA driver does not work.{crashed}",
        f"{_SEE_WHY}, and nvidia-smi   then: {system.restart_machine}",
    )
    return links.get(gpus.failure, broken)


def choice_problem(gpus: GpuFacts, request: GpuRequest) -> GpuProblem | None:
    """Whether the GPUs that were asked for exist."""
    have = ", ".join(f"{gpu.index} ({gpu.name}, {gpu.uuid})" for gpu in gpus.gpus)
    if request.count is not None and request.count > len(gpus.gpus):
        return GpuProblem(f"There are not {request.count} GPUs here but {len(gpus.gpus)}.", f"There are: {have}.")
    known = {name for gpu in gpus.gpus for name in (str(gpu.index), gpu.uuid, *gpu.slices)}
    known |= {f"{gpu.index}:{number}" for gpu in gpus.gpus for number in range(len(gpu.slices))}
    unknown = [device for device in request.devices if device not in known]
    if unknown:
        return GpuProblem(f"There is no GPU {', '.join(unknown)} here.", f"There are: {have}.")
    return None


def cuda_problem(gpus: GpuFacts, cuda: Cuda | None, system: System) -> GpuProblem | None:
    """Whether the driver is new enough for the CUDA of the image."""
    if cuda is None or gpus.driver is None or cuda.runs_on(gpus.driver):
        return None
    return GpuProblem(
        f"The NVIDIA driver {gpus.driver} is too old: the image has {cuda.name}, which needs {cuda.driver_name} or "
        "newer.",
        f"Take an older image (--tag), or install a newer driver:\n{system.install_driver}",
    )


def partition_problem(gpus: GpuFacts, request: GpuRequest) -> GpuProblem | None:
    """Whether a partitioned GPU (MIG) was asked for as a whole, which nobody can have."""
    asked = [gpu for gpu in chosen_gpus(gpus, request) if gpu.partitioned and not _asks_for_slice(gpu, request)]
    if not asked:
        return None
    gpu = asked[0]
    if not gpu.slices:
        return GpuProblem(
            f"GPU {gpu.index} ({gpu.name}) is in MIG mode and has no instances: nobody can use it.",
            f"Make one: sudo nvidia-smi mig -i {gpu.index} -cgi 0 -C   or end that mode: "
            f"sudo nvidia-smi -i {gpu.index} -mig 0",
        )
    names = [
        *gpu.slices,
        *(f"device={other.index}" for other in chosen_gpus(gpus, GpuRequest()) if not other.partitioned),
    ]
    return GpuProblem(
        f"GPU {gpu.index} ({gpu.name}) is partitioned (MIG): a server gets one of its {len(gpu.slices)} instances.",
        f"Name it, or a whole GPU: {' or '.join(f'--gpus {name}' for name in names)}",
    )


def memory_problem(gpus: GpuFacts, needs: GpuNeeds) -> GpuProblem | None:
    """Whether the GPUs have room for a server."""
    chosen = [gpu for gpu in chosen_gpus(gpus, needs.request) if not gpu.partitioned and gpu.memory]
    full = [gpu for gpu in chosen if gpu.free < _needed(gpu, needs.fraction)]
    if not full or (len(full) < len(chosen) and needs.request == GpuRequest() and needs.fraction is None):
        return None
    gpu = full[0]
    used = f"{(gpu.memory - gpu.free) / 2**30:.1f} of {gpu.memory / 2**30:.1f} GiB are taken"
    others = [other for other in gpus.gpus if other.free >= _needed(other, needs.fraction) and not other.partitioned]
    elsewhere = f"\nRoom is on: --gpus device={others[0].index}" if others else ""
    share = (
        "" if needs.fraction is None else f", and --gpu-memory-fraction {needs.fraction:g} asks for more than is left"
    )
    return GpuProblem(
        f"GPU {gpu.index} ({gpu.name}) is full: {used}{share}.",
        "See by whom: nvidia-smi. A TensorFlow server takes all there is, unless it was started with "
        f"--gpu-memory-fraction or --gpu-memory-growth.{elsewhere}",
    )


def engine_problem(gpus: GpuFacts, engine: EngineFacts, system: System) -> GpuProblem | None:
    """Whether the engine can hand a GPU to a container: by the runtime, or by a device request."""
    if engine.offers_gpus or HOOK in gpus.programs:
        return None
    if engine.desktop:
        return GpuProblem(
            "Docker Desktop offers no GPU: it does so on Windows with WSL 2, and lists the runtime nvidia then.",
            "Turn its WSL 2 backend on: https://docs.docker.com/desktop/features/gpu/",
        )
    if gpus.programs:
        return GpuProblem(
            "The NVIDIA Container Toolkit is installed, but its runtime is not registered with the Docker Engine.",
            system.register_runtime(rootless=engine.rootless),
        )
    return GpuProblem(
        "The NVIDIA Container Toolkit is not installed, without which no container gets a GPU.",
        f"{system.install_toolkit}\n{system.register_runtime(rootless=engine.rootless)}",
    )


def chosen_gpus(gpus: GpuFacts, request: GpuRequest) -> tuple[Gpu, ...]:
    """The GPUs that `request` means, each also when only a slice of it is meant."""
    answering = tuple(gpu for gpu in gpus.gpus if not gpu.failure)
    if request.devices:
        return tuple(
            gpu
            for gpu in answering
            if _asks_for_slice(gpu, request) or {str(gpu.index), gpu.uuid} & set(request.devices)
        )
    return answering[: request.count]


def _asks_for_slice(gpu: Gpu, request: GpuRequest) -> bool:
    numbered = {f"{gpu.index}:{number}" for number in range(len(gpu.slices))}
    return bool((numbered | set(gpu.slices)) & set(request.devices))


def _needed(gpu: Gpu, fraction: float | None) -> float:
    return _WORKING_MEMORY if fraction is None else max(_WORKING_MEMORY, fraction * gpu.memory)


def _named(gpus: Sequence[Gpu]) -> str:
    return f"GPU {', '.join(str(gpu.index) for gpu in gpus)}"


def _does(gpus: Sequence[Gpu], one: str, many: str) -> str:
    return one if len(gpus) == 1 else many

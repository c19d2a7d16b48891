"""Checks everything a container needs to use an NVIDIA GPU, and finds the command that fixes the first problem.

All checks are pure functions of facts: what NVML reports, what the engine reports, and what the image needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tfserve.errors import Attribute, Wording
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
_SEE_WHY = "Find the cause: sudo dmesg | grep -i -e nvrm -e xid"
_NO_GPU = Wording(
    "Use {no_gpu}, or the engine of a machine with an NVIDIA GPU (DOCKER_HOST).", no_gpu=Attribute("gpu", False)
)
_WORKING_MEMORY = 512 * 2**20  # for CUDA's context and libraries, before the first tensor


@dataclass(frozen=True)
class GpuProblem:
    """The cause of a problem, as a sentence, and its fix: one command per line, or a sentence."""

    cause: str | Wording
    fix: str | Wording


@dataclass(frozen=True)
class GpuNeeds:
    """The requirements of a server.

    Attributes:
        request: the GPUs to use.
        fraction: the fraction of each GPU's memory that the server reserves at startup; None lets TensorFlow choose.
        cuda: the CUDA release of its image; None if it is not known.
    """

    request: GpuRequest = field(default_factory=GpuRequest)
    fraction: float | None = None
    cuda: Cuda | None = None


def first_problem(gpus: GpuFacts, engine: EngineFacts, needs: GpuNeeds, system: System) -> GpuProblem | None:
    """Finds the first problem that keeps a container of an engine on this machine from using its GPUs.

    Returns:
        None if a container can use the GPUs.
    """
    checks: tuple[Callable[[], GpuProblem | None], ...] = (
        lambda: _macos_problem(system),
        lambda: driver_problem(gpus, system),
        lambda: choice_problem(gpus, needs.request),
        lambda: cuda_problem(gpus, needs.cuda, system),
        lambda: partition_problem(gpus, needs.request),
        lambda: memory_problem(gpus, needs),
        lambda: engine_problem(gpus, engine, system),
    )
    return next((problem for check in checks if (problem := check()) is not None), None)


def _macos_problem(system: System) -> GpuProblem | None:
    """Checks that the engine does not run in a virtual machine without access to a GPU."""
    if system.family != "macos":
        return None
    return GpuProblem(
        "On macOS, containers cannot use a GPU: the engine runs in a virtual machine without one.",
        _NO_GPU,
    )


def driver_problem(gpus: GpuFacts, system: System) -> GpuProblem | None:
    """Checks that the driver is installed and responds."""
    if gpus.failure is not None:
        return _absent_driver(gpus, system) if gpus.failure == "no library" else _failed_driver(gpus, system)
    if not gpus.gpus:
        return GpuProblem(
            f"The NVIDIA driver {gpus.driver} lists no GPU.",
            "Check that the system has one: lspci -d 10de:   and what the driver reports: nvidia-smi",
        )
    lost = [gpu for gpu in gpus.gpus if gpu.failure]
    if len(lost) == len(gpus.gpus):
        return GpuProblem(
            f"{_named(lost)} {_does(lost, 'does', 'do')} not respond: {lost[0].failure}.",
            f"{_SEE_WHY}   then: {system.restart_machine}",
        )
    return None


def _absent_driver(gpus: GpuFacts, system: System) -> GpuProblem:
    if not gpus.cards and not system.wsl:
        return GpuProblem(
            "This machine has no NVIDIA GPU: its PCI bus has none, and no driver is installed.",
            _NO_GPU,
        )
    return GpuProblem(
        "This machine has an NVIDIA GPU, but no driver for it: libnvidia-ml.so.1 is not installed."
        if gpus.cards
        else "WSL has no NVIDIA driver: libnvidia-ml.so.1 is part of the driver for Windows.",
        system.install_driver,
    )


def _failed_driver(gpus: GpuFacts, system: System) -> GpuProblem:
    nvml = f" NVML reports: {gpus.details.rstrip('.')}." if gpus.details else ""
    reload = "sudo rmmod nvidia_uvm nvidia_drm nvidia_modeset nvidia && sudo modprobe nvidia   (or: sudo reboot)"
    problems: dict[Failure | None, GpuProblem] = {
        "no driver": GpuProblem(
            f"The NVIDIA driver is installed but not loaded.{nvml}",
            system.install_driver if system.wsl else "sudo modprobe nvidia   (after a kernel update, reboot)",
        ),
        "mismatch": GpuProblem(
            f"The NVIDIA driver in the kernel is older than the installed library (driver/library version mismatch): "
            f"it was updated but has not been loaded yet.{nvml}",
            system.restart_machine if system.wsl else reload,
        ),
        "no permission": GpuProblem(
            f"This user has no permission to use the NVIDIA driver.{nvml}",
            'Check the permissions: ls -l /dev/nvidia*   then: sudo usermod -aG video "$USER" (log out and in again)',
        ),
        "wrong architecture": GpuProblem(
            f"The installed libnvidia-ml.so.1 is not for this machine's CPU ({system.machine}).",
            f"Install the driver for this CPU:\n{system.install_driver}",
        ),
        "hangs": GpuProblem(
            f"The NVIDIA driver hangs: {gpus.details}.",
            f"{_SEE_WHY}   then: {system.restart_machine}",
        ),
    }
    crashed = f" {gpus.details}." if gpus.failure == "crashes" else nvml  # the details of a crash are not from NVML
    other = GpuProblem(
        f"The NVIDIA driver does not work.{crashed}",
        f"{_SEE_WHY}, and nvidia-smi   then: {system.restart_machine}",
    )
    return problems.get(gpus.failure, other)


def choice_problem(gpus: GpuFacts, request: GpuRequest) -> GpuProblem | None:
    """Checks that the requested GPUs exist."""
    available = ", ".join(f"{gpu.index} ({gpu.name}, {gpu.uuid})" for gpu in gpus.gpus)
    if request.count is not None and request.count > len(gpus.gpus):
        return GpuProblem(
            f"{request.count} GPUs were requested, but this machine has {len(gpus.gpus)}.", f"Available: {available}."
        )
    known = {name for gpu in gpus.gpus for name in (str(gpu.index), gpu.uuid, *gpu.slices)}
    known |= {f"{gpu.index}:{number}" for gpu in gpus.gpus for number in range(len(gpu.slices))}
    unknown = [device for device in request.devices if device not in known]
    if unknown:
        return GpuProblem(f"This machine has no GPU {', '.join(unknown)}.", f"Available: {available}.")
    return None


def cuda_problem(gpus: GpuFacts, cuda: Cuda | None, system: System) -> GpuProblem | None:
    """Checks that the driver is new enough for the CUDA release of the image."""
    if cuda is None or gpus.driver is None or cuda.runs_on(gpus.driver):
        return None
    return GpuProblem(
        f"The NVIDIA driver {gpus.driver} is too old: the image has {cuda.name}, which needs {cuda.driver_name} or "
        "newer.",
        Wording("Use an older image ({tag}), or install a newer driver:\n{commands}", commands=system.install_driver),
    )


def partition_problem(gpus: GpuFacts, request: GpuRequest) -> GpuProblem | None:
    """Checks that no partitioned GPU (MIG) was requested as a whole, which is not possible."""
    whole = [gpu for gpu in chosen_gpus(gpus, request) if gpu.partitioned and not _requests_slice(gpu, request)]
    if not whole:
        return None
    gpu = whole[0]
    if not gpu.slices:
        return GpuProblem(
            f"GPU {gpu.index} ({gpu.name}) is in MIG mode but has no instances, so it cannot be used.",
            f"Create one: sudo nvidia-smi mig -i {gpu.index} -cgi 0 -C   or leave MIG mode: "
            f"sudo nvidia-smi -i {gpu.index} -mig 0",
        )
    names = [
        *gpu.slices,
        *(f"device={other.index}" for other in chosen_gpus(gpus, GpuRequest()) if not other.partitioned),
    ]
    return GpuProblem(
        f"GPU {gpu.index} ({gpu.name}) is partitioned (MIG): a server can use one of its {len(gpu.slices)} instances.",
        Wording("Choose an instance, or a whole GPU, as {gpus}: {names}", names=" or ".join(names)),
    )


def memory_problem(gpus: GpuFacts, needs: GpuNeeds) -> GpuProblem | None:
    """Checks that the GPUs have enough free memory for a server."""
    chosen = [gpu for gpu in chosen_gpus(gpus, needs.request) if not gpu.partitioned and gpu.memory]
    full = [gpu for gpu in chosen if gpu.free < _needed(gpu, needs.fraction)]
    if not full or (len(full) < len(chosen) and needs.request == GpuRequest() and needs.fraction is None):
        return None
    gpu = full[0]
    used = f"{(gpu.memory - gpu.free) / 2**30:.1f} of {gpu.memory / 2**30:.1f} GiB are in use"
    others = [other for other in gpus.gpus if other.free >= _needed(other, needs.fraction) and not other.partitioned]
    share: Wording | str = ""
    if needs.fraction is not None:
        fraction = Attribute("gpu_memory_fraction", needs.fraction)
        share = Wording(", and {fraction} needs more than the rest", fraction=fraction)
    elsewhere: Wording | str = ""
    if others:
        device = Attribute("gpus", f"device={others[0].index}")
        elsewhere = Wording("\nAnother GPU has free memory: {device}", device=device)
    return GpuProblem(
        Wording("GPU {index} ({name}) is full: {used}{share}.", index=gpu.index, name=gpu.name, used=used, share=share),
        Wording(
            "List the processes: nvidia-smi. A TensorFlow server reserves all memory, unless it was started with "
            "{gpu_memory_fraction} or {gpu_memory_growth}.{elsewhere}",
            elsewhere=elsewhere,
        ),
    )


def engine_problem(gpus: GpuFacts, engine: EngineFacts, system: System) -> GpuProblem | None:
    """Checks that the engine can give a container a GPU, with the nvidia runtime or a device request."""
    if engine.offers_gpus or HOOK in gpus.programs:
        return None
    if engine.desktop:
        return GpuProblem(
            "Docker Desktop does not offer a GPU; it does on Windows with WSL 2, where it has the runtime nvidia.",
            "Enable its WSL 2 backend: https://docs.docker.com/desktop/features/gpu/",
        )
    if gpus.programs:
        return GpuProblem(
            "The NVIDIA Container Toolkit is installed, but its runtime is not registered with the Docker Engine.",
            system.register_runtime(rootless=engine.rootless),
        )
    return GpuProblem(
        "The NVIDIA Container Toolkit is not installed; without it, containers cannot use a GPU.",
        f"{system.install_toolkit}\n{system.register_runtime(rootless=engine.rootless)}",
    )


def chosen_gpus(gpus: GpuFacts, request: GpuRequest) -> tuple[Gpu, ...]:
    """Returns the GPUs that match `request`, including those of which it requests only a slice."""
    answering = tuple(gpu for gpu in gpus.gpus if not gpu.failure)
    if request.devices:
        return tuple(
            gpu
            for gpu in answering
            if _requests_slice(gpu, request) or {str(gpu.index), gpu.uuid} & set(request.devices)
        )
    return answering[: request.count]


def _requests_slice(gpu: Gpu, request: GpuRequest) -> bool:
    numbered = {f"{gpu.index}:{number}" for number in range(len(gpu.slices))}
    return bool((numbered | set(gpu.slices)) & set(request.devices))


def _needed(gpu: Gpu, fraction: float | None) -> float:
    return _WORKING_MEMORY if fraction is None else max(_WORKING_MEMORY, fraction * gpu.memory)


def _named(gpus: Sequence[Gpu]) -> str:
    return f"GPU {', '.join(str(gpu.index) for gpu in gpus)}"


def _does(gpus: Sequence[Gpu], one: str, many: str) -> str:
    return one if len(gpus) == 1 else many

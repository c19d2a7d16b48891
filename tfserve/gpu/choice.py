"""Whether a container gets a GPU: what was asked for, against what this machine and the engine say."""

from __future__ import annotations

from collections.abc import Callable

from tfserve.errors import GpuError
from tfserve.gpu.checks import GpuNeeds, chosen_gpus, first_problem
from tfserve.gpu.probe import GpuFacts
from tfserve.host.system import System
from tfserve.plan.engine_facts import EngineFacts
from tfserve.progress import Progress

__all__ = ["uses_gpu"]


def uses_gpu(
    asked: bool | None,
    needs: GpuNeeds,
    engine: EngineFacts,
    look: Callable[[], GpuFacts],
    system: System,
    progress: Progress,
) -> bool:
    """Decides whether a container gets GPUs.

    Args:
        asked: True to require them, False to refuse them, None to take them when they can be had.
        needs: which ones, and what for.
        engine: what is true of the engine. What NVML says here, says nothing of the GPUs of another machine; that
            engine is asked, and trusted.
        look: looks at the GPUs of this machine.
        system: this machine's operating system.
        progress: told, in one line, what is done when nobody asked, unless there is no sign of a GPU.

    Raises:
        GpuError: they are required, and cannot be had.
    """
    if asked is False:
        return False
    if engine.host is not None:
        if asked is None and engine.offers_gpus:
            progress.notice(f"Using the GPUs of {engine.host}: its Docker Engine offers them. --no-gpu refuses them.")
        return bool(asked or engine.offers_gpus)
    gpus = look()
    broken = first_problem(gpus, engine, needs, system)
    if broken is not None and asked:
        raise GpuError(broken.cause, hint=broken.fix)
    if asked is None and (gpus.present or broken is None):
        progress.notice(_line(gpus, needs, broken.cause if broken else None))
    return broken is None


def _line(gpus: GpuFacts, needs: GpuNeeds, broken: str | None) -> str:
    if broken is not None:
        return f"Serving on the CPU. {broken} What mends it: tfserve doctor"
    named = ", ".join(f"{gpu.index} ({gpu.name})" for gpu in chosen_gpus(gpus, needs.request))
    return f"Using GPU {named}. --no-gpu serves on the CPU."

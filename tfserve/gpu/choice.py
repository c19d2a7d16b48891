"""Decides whether a container gets a GPU, from the user's request and the facts about this machine and the engine."""

from __future__ import annotations

from tfserve.errors import Attribute, GpuError, Wording
from tfserve.gpu.checks import GpuNeeds, chosen_gpus, first_problem
from tfserve.gpu.machine import Host
from tfserve.gpu.probe import GpuFacts
from tfserve.plan.engine_facts import EngineFacts
from tfserve.progress import Progress

__all__ = ["uses_gpu"]


def uses_gpu(
    wanted: bool | None,
    needs: GpuNeeds,
    engine: EngineFacts,
    host: Host,
    progress: Progress,
) -> bool:
    """Decides whether a container gets GPUs.

    Args:
        wanted: True to require GPUs, False to refuse them, None to use them if possible.
        needs: the requirements of the server.
        engine: the facts about the engine. If it runs on another machine, its own report is trusted, because NVML
            only reports the GPUs of this machine.
        host: this machine.
        progress: receives the decision, in one line, unless the user made it or no GPU was found.

    Raises:
        GpuError: GPUs are required, but cannot be used.
    """
    if wanted is False:
        return False
    if engine.host is not None:
        if wanted is None and engine.offers_gpus:
            progress.notice(
                Wording(
                    "Using the GPUs of {host}: its Docker Engine offers them. To use the CPU instead: {no_gpu}",
                    host=engine.host,
                    no_gpu=Attribute("gpu", False),
                )
            )
        return bool(wanted or engine.offers_gpus)
    gpus = host.gpus()
    problem = first_problem(gpus, engine, needs, host.system)
    if problem is not None and wanted:
        raise GpuError(problem.cause, hint=problem.fix)
    if wanted is None and (gpus.present or problem is None):
        progress.notice(_line(gpus, needs, problem.cause if problem else None))
    return problem is None


def _line(gpus: GpuFacts, needs: GpuNeeds, problem: str | Wording | None) -> Wording:
    if problem is not None:
        return Wording("Serving on the CPU. {problem} To fix this, see: tfserve doctor", problem=problem)
    named = ", ".join(f"{gpu.index} ({gpu.name})" for gpu in chosen_gpus(gpus, needs.request))
    no_gpu = Attribute("gpu", False)
    return Wording("Using GPU {named}. To use the CPU instead: {no_gpu}", named=named, no_gpu=no_gpu)

"""Checks of everything that a container needs to use an NVIDIA GPU."""

from __future__ import annotations

from tfserve.doctor.facts import Check, EngineAnswer, Facts
from tfserve.errors import Wording
from tfserve.gpu.checks import (
    HOOK,
    GpuNeeds,
    GpuProblem,
    cuda_problem,
    driver_problem,
    engine_problem,
    memory_problem,
    partition_problem,
)
from tfserve.gpu.cuda import cuda_of
from tfserve.gpu.probe import Gpu
from tfserve.plan.engine_facts import NVIDIA_RUNTIME
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.image import ImageReference

__all__ = ["gpu_checks"]

_NAMES = ("nvidia-driver", "nvml", "nvidia-container-toolkit", "nvidia-runtime")


def gpu_checks(facts: Facts) -> tuple[Check, ...]:
    """Returns all checks of GPUs; they are skipped if there is no GPU, because a server does not need one."""
    gpus = facts.gpus
    if not gpus.present and not (isinstance(facts.engine, EngineAnswer) and facts.engine.facts.offers_gpus):
        return tuple(Check(name, "skip", "No NVIDIA GPU was found.") for name in _NAMES)
    driver = driver_problem(gpus, facts.system)
    if driver is not None:
        loaded = gpus.failure is None  # but it lists no GPU that works
        version = Check("nvidia-driver", "ok", f"Driver {gpus.driver}") if loaded else _warning("nvidia-driver", driver)
        nvml = _warning("nvml", driver) if loaded else Check("nvml", "skip", "NVML is part of the driver.")
        return version, nvml, _toolkit(facts), _runtime(facts)
    return _driver(facts), _nvml(facts), _toolkit(facts), _runtime(facts)


def _driver(facts: Facts) -> Check:
    gpus = facts.gpus
    cuda = cuda_of(ImageReference.parse().official_variant(gpu=True))
    if problem := cuda_problem(gpus, cuda, facts.system):
        return _warning("nvidia-driver", problem)
    supported = "" if gpus.cuda is None else ", for CUDA up to {}.{}".format(*gpus.cuda)
    return Check(
        "nvidia-driver", "ok", f"Driver {gpus.driver}{supported}; the newest image has {cuda.name if cuda else '?'}"
    )


def _nvml(facts: Facts) -> Check:
    gpus = facts.gpus
    listed = "; ".join(map(_described, gpus.gpus))
    problem = partition_problem(gpus, GpuRequest()) or memory_problem(gpus, GpuNeeds())
    if problem is not None:
        return Check("nvml", "warn", Wording("{listed}. {cause}", listed=listed, cause=problem.cause), problem.fix)
    return Check("nvml", "ok", listed)


def _described(gpu: Gpu) -> str:
    if gpu.failure:
        return f"GPU {gpu.index} does not respond: {gpu.failure}"
    free = f"{gpu.free / 2**30:.1f} of {gpu.memory / 2**30:.1f} GiB free"
    return f"GPU {gpu.index}: {gpu.name}, {free}{', MIG' if gpu.partitioned else ''}, {gpu.uuid}"


def _toolkit(facts: Facts) -> Check:
    if isinstance(facts.engine, EngineAnswer) and (facts.engine.facts.host or facts.engine.facts.desktop):
        return Check(
            "nvidia-container-toolkit",
            "skip",
            "The toolkit is installed where the engine runs, which is not this system.",
        )
    if facts.gpus.programs:
        return Check("nvidia-container-toolkit", "ok", f"Installed: {', '.join(sorted(facts.gpus.programs))}")
    return Check(
        "nvidia-container-toolkit",
        "warn",
        "Not installed; without it, containers cannot use a GPU.",
        facts.system.install_toolkit,
    )


def _runtime(facts: Facts) -> Check:
    if not isinstance(facts.engine, EngineAnswer):
        return Check("nvidia-runtime", "skip", "The Docker Engine does not respond.")
    engine = facts.engine.facts
    if NVIDIA_RUNTIME in engine.runtimes:
        return Check("nvidia-runtime", "ok", "The engine has the runtime nvidia.")
    if engine.offers_gpus or (engine.host is None and HOOK in facts.gpus.programs):
        return Check(
            "nvidia-runtime", "ok", "The engine does not have the runtime nvidia, but supports device requests."
        )
    if engine.host is not None:
        return Check(
            "nvidia-runtime",
            "warn",
            f"The engine on {engine.host} does not have the runtime nvidia.",
            "On that machine, run sudo nvidia-ctk runtime configure --runtime=docker, then restart its engine.",
        )
    problem = engine_problem(facts.gpus, engine, facts.system)
    fix = facts.system.register_runtime(rootless=engine.rootless)
    return Check("nvidia-runtime", "warn", "The engine does not have the runtime nvidia.", fix if problem else None)


def _warning(name: str, problem: GpuProblem) -> Check:
    """Returns a warning, not a failure, because a server can still use the CPU."""
    return Check(name, "warn", problem.cause, problem.fix)

"""What the facts say of the chain from an NVIDIA GPU to a container."""

from __future__ import annotations

from tfserve.doctor.facts import Check, EngineAnswer, Facts
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
    """All checks about GPUs; skipped where there is none, as one can serve without."""
    gpus = facts.gpus
    if not gpus.present and not (isinstance(facts.engine, EngineAnswer) and facts.engine.facts.offers_gpus):
        return tuple(Check(name, "skip", "There is no sign of an NVIDIA GPU.") for name in _NAMES)
    driver = driver_problem(gpus, facts.system)
    if driver is not None:
        loaded = gpus.failure is None  # and shows no GPU, or one that is lost
        version = Check("nvidia-driver", "ok", f"Driver {gpus.driver}") if loaded else _broken("nvidia-driver", driver)
        shown = _broken("nvml", driver) if loaded else Check("nvml", "skip", "It comes with the driver.")
        return version, shown, _toolkit(facts), _runtime(facts)
    return _driver(facts), _nvml(facts), _toolkit(facts), _runtime(facts)


def _driver(facts: Facts) -> Check:
    gpus = facts.gpus
    cuda = cuda_of(ImageReference.parse().official_variant(gpu=True))
    if old := cuda_problem(gpus, cuda, facts.system):
        return _broken("nvidia-driver", old)
    runs = "" if gpus.cuda is None else ", for CUDA up to {}.{}".format(*gpus.cuda)
    return Check(
        "nvidia-driver", "ok", f"Driver {gpus.driver}{runs}; the newest image has {cuda.name if cuda else '?'}"
    )


def _nvml(facts: Facts) -> Check:
    gpus = facts.gpus
    shown = "; ".join(map(_described, gpus.gpus))
    broken = partition_problem(gpus, GpuRequest()) or memory_problem(gpus, GpuNeeds())
    if broken is not None:
        return Check("nvml", "warn", f"{shown}. {broken.cause}", broken.fix)
    return Check("nvml", "ok", shown)


def _described(gpu: Gpu) -> str:
    if gpu.failure:
        return f"GPU {gpu.index} does not answer: {gpu.failure}"
    free = f"{gpu.free / 2**30:.1f} of {gpu.memory / 2**30:.1f} GiB free"
    return f"GPU {gpu.index}: {gpu.name}, {free}{', MIG' if gpu.partitioned else ''}, {gpu.uuid}"


def _toolkit(facts: Facts) -> Check:
    if isinstance(facts.engine, EngineAnswer) and (facts.engine.facts.host or facts.engine.facts.desktop):
        return Check("nvidia-container-toolkit", "skip", "It belongs to the engine, which is not on this system.")
    if facts.gpus.programs:
        return Check("nvidia-container-toolkit", "ok", f"Installed: {', '.join(sorted(facts.gpus.programs))}")
    return Check(
        "nvidia-container-toolkit",
        "warn",
        "It is not installed: no container gets a GPU.",
        facts.system.install_toolkit,
    )


def _runtime(facts: Facts) -> Check:
    if not isinstance(facts.engine, EngineAnswer):
        return Check("nvidia-runtime", "skip", "The Docker Engine does not answer.")
    engine = facts.engine.facts
    if NVIDIA_RUNTIME in engine.runtimes:
        return Check("nvidia-runtime", "ok", "The engine lists the runtime nvidia.")
    if engine.offers_gpus or (engine.host is None and HOOK in facts.gpus.programs):
        return Check("nvidia-runtime", "ok", "The engine does not list the runtime nvidia, but takes device requests.")
    if engine.host is not None:
        return Check(
            "nvidia-runtime",
            "warn",
            f"The engine on {engine.host} lists no runtime nvidia.",
            "On that machine: sudo nvidia-ctk runtime configure --runtime=docker, then restart its engine",
        )
    broken = engine_problem(facts.gpus, engine, facts.system)
    mend = facts.system.register_runtime(rootless=engine.rootless)
    return Check("nvidia-runtime", "warn", "The engine does not list the runtime nvidia.", mend if broken else None)


def _broken(name: str, link: GpuProblem) -> Check:
    """A broken link is a warning: the CPU is still there."""
    return Check(name, "warn", link.cause, link.fix)

"""The facts of a healthy machine; each test changes one of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tfserve.doctor.facts import EngineAnswer, Facts, LocalRuntime, Registry, StateDirectory
from tfserve.gpu.checks import HOOK
from tfserve.gpu.probe import Gpu, GpuFacts
from tfserve.host.landlock import NEWEST_ABI
from tfserve.host.system import System
from tfserve.plan.engine_facts import EngineFacts

__all__ = ["ENGINE", "GIB", "GPU", "HEALTHY", "with_engine"]

GIB = 2**30
GPU = Gpu(0, "NVIDIA L4", "GPU-0", 24 * GIB, 23 * GIB)
ENGINE = EngineAnswer(
    endpoint="unix:///var/run/docker.sock",
    version="28.2.2",
    api="1.50",
    facts=EngineFacts(runtimes=frozenset({"runc", "nvidia"})),
    free=50 * GIB,
)
HEALTHY = Facts(
    system=System("debian", "debian"),
    docker_command="/usr/bin/docker",
    context="context default",
    engine=ENGINE,
    registry=Registry("https://registry-1.docker.io"),
    gpus=GpuFacts((GPU,), "550.54.15", (12, 4), cards=1, programs=frozenset({HOOK, "nvidia-ctk"})),
    local=LocalRuntime("TensorFlow 2.21.0"),
    state=StateDirectory("/home/me/.local/state/tfserve/servers", 50 * GIB),
    landlock=NEWEST_ABI,
    avx=True,
)


def with_engine(**changes: Any) -> Facts:
    """Returns the facts of the same machine with another engine."""
    return replace(HEALTHY, engine=replace(ENGINE, **changes))

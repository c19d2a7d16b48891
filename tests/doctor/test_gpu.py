from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.doctor.healthy import GPU, HEALTHY, with_engine
from tests.wording import as_typed
from tfserve.doctor.facts import Facts
from tfserve.doctor.gpu import gpu_checks
from tfserve.errors import EngineUnavailableError
from tfserve.gpu.probe import GpuFacts
from tfserve.plan.engine_facts import EngineFacts

NAMES = ["nvidia-driver", "nvml", "nvidia-container-toolkit", "nvidia-runtime"]
NO_ENGINE = replace(HEALTHY, engine=EngineUnavailableError("No Docker Engine answers."))


def seen(**changes: Any) -> Facts:
    return replace(HEALTHY, gpus=replace(HEALTHY.gpus, **changes))


def without_gpu(facts: Facts) -> Facts:
    return replace(facts, gpus=GpuFacts(failure="no library"))


def test_healthy_machine() -> None:
    checks = gpu_checks(HEALTHY)
    assert [(check.name, check.status, check.hint) for check in checks] == [(name, "ok", None) for name in NAMES]
    assert checks[0].detail == "Driver 550.54.15, for CUDA up to 12.4; the newest image has CUDA 12.5"
    assert checks[1].detail == "GPU 0: NVIDIA L4, 23.0 of 24.0 GiB free, GPU-0"


def test_machine_without_a_gpu() -> None:
    checks = gpu_checks(without_gpu(with_engine(facts=EngineFacts())))
    assert [(check.name, check.status, check.hint) for check in checks] == [(name, "skip", None) for name in NAMES]


@pytest.mark.parametrize(
    ("facts", "statuses", "number", "detail", "hint"),
    [
        (seen(driver="470.1"), "warn ok ok ok", 0, "470.1 is too old", "nvidia-driver"),
        (
            seen(gpus=(), driver=None, failure="mismatch", details="…"),
            "warn skip ok ok",
            0,
            "version mismatch",
            "sudo rmmod",
        ),
        (seen(gpus=()), "ok warn ok ok", 1, "lists no GPU", "lspci"),
        (seen(gpus=(replace(GPU, failure="GPU is lost"),)), "ok warn ok ok", 1, "GPU is lost", "dmesg"),
        (
            seen(gpus=(GPU, replace(GPU, index=1, failure="GPU is lost"))),
            "ok ok ok ok",
            1,
            "GPU 1 does not respond: GPU is lost",
            None,
        ),
        (seen(gpus=(replace(GPU, free=0),)), "ok warn ok ok", 1, "is full", "nvidia-smi"),
        (
            seen(gpus=(replace(GPU, partitioned=True, slices=("MIG-a",)),)),
            "ok warn ok ok",
            1,
            "MIG",
            "as --gpus: MIG-a",
        ),
        (
            seen(programs=frozenset()),
            "ok ok warn ok",
            2,
            "Not installed",
            "apt-get install -y nvidia-cont",
        ),
        (with_engine(facts=EngineFacts()), "ok ok ok ok", 3, "supports device requests", None),
        (
            replace(with_engine(facts=EngineFacts()), gpus=replace(HEALTHY.gpus, programs=frozenset({"nvidia-ctk"}))),
            "ok ok ok warn",
            3,
            "does not have the runtime",
            "nvidia-ctk runtime configure",
        ),
        (with_engine(facts=EngineFacts(host="box")), "ok ok skip warn", 3, "The engine on box", "On that machine"),
        (without_gpu(HEALTHY), "warn skip warn ok", 0, "has no NVIDIA GPU", "DOCKER_HOST"),
        (NO_ENGINE, "ok ok ok skip", 3, "does not respond", None),
    ],
)
def test_problems(facts: Facts, statuses: str, number: int, detail: str, hint: str | None) -> None:
    checks = gpu_checks(facts)
    assert [check.name for check in checks] == NAMES
    assert " ".join(check.status for check in checks) == statuses
    assert detail in as_typed(checks[number].detail)
    assert (checks[number].hint is None) is (hint is None)
    assert hint is None or hint in as_typed(checks[number].hint)

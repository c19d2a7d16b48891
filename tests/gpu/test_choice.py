from __future__ import annotations

from functools import cached_property

import pytest

from tests.recorded_progress import RecordedProgress
from tfserve.errors import GpuError
from tfserve.gpu.checks import GpuNeeds
from tfserve.gpu.choice import uses_gpu
from tfserve.gpu.machine import Host
from tfserve.gpu.probe import Gpu, GpuFacts
from tfserve.host.system import System
from tfserve.plan.engine_facts import EngineFacts
from tfserve.spec.gpus import GpuRequest

GOOD = GpuFacts((Gpu(0, "NVIDIA L4", "GPU-0", 24 * 2**30, 23 * 2**30),), "550.54.15")
NONE = GpuFacts(failure="no library")
BROKEN = GpuFacts(failure="mismatch", cards=1)
WITH, WITHOUT = EngineFacts(runtimes=frozenset({"nvidia"})), EngineFacts()


class FakeHost(Host):
    """A machine with Debian and with these GPUs; without facts, its GPUs must not be probed."""

    def __init__(self, facts: GpuFacts | None) -> None:
        self.facts = facts

    @cached_property
    def system(self) -> System:
        return System("debian")

    def gpus(self) -> GpuFacts:
        assert self.facts is not None
        return self.facts


def decide(wanted: bool | None, engine: EngineFacts, gpus: GpuFacts, needs: GpuNeeds | None = None) -> tuple[bool, str]:
    progress = RecordedProgress()
    uses = uses_gpu(wanted, needs or GpuNeeds(), engine, FakeHost(gpus), progress)
    return uses, "\n".join(progress.notices)


def test_required() -> None:
    assert decide(True, WITH, GOOD) == (True, "")
    for engine, gpus, words in ((WITH, NONE, "no NVIDIA GPU"), (WITH, BROKEN, "mismatch"), (WITHOUT, GOOD, "Toolkit")):
        with pytest.raises(GpuError, match=words) as caught:
            decide(True, engine, gpus)
        assert caught.value.exit_code == 9
        assert caught.value.hint
        assert caught.value.doctor


def test_refused() -> None:
    progress = RecordedProgress()
    assert uses_gpu(False, GpuNeeds(), WITH, FakeHost(None), progress) is False
    assert progress.notices == []


def test_automatic_choice_gives_one_notice() -> None:
    assert decide(None, WITH, GOOD) == (True, "Using GPU 0 (NVIDIA L4). To use the CPU instead: gpu=False")
    uses, line = decide(None, WITH, BROKEN)
    assert not uses
    assert line.startswith("Serving on the CPU. The NVIDIA driver in the kernel is older")
    assert line.endswith("tfserve doctor")
    assert "\n" not in line
    assert decide(None, WITH, NONE) == (False, "")  # no notice on a machine without a GPU


def test_engine_on_another_machine_is_trusted() -> None:
    remote = EngineFacts(host="gpu-box")
    offering = EngineFacts(runtimes=frozenset({"nvidia"}), host="gpu-box")
    named = GpuNeeds(GpuRequest(devices=("7",)))
    assert decide(True, remote, NONE, named) == (True, "")
    assert decide(None, remote, GOOD) == (False, "")
    assert decide(None, offering, NONE) == (
        True,
        "Using the GPUs of gpu-box: its Docker Engine offers them. To use the CPU instead: gpu=False",
    )

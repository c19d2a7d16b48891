from __future__ import annotations

from pathlib import Path

from tfserve.gpu import find_gpus


def test_finds_the_gpus_that_the_driver_shows() -> None:
    devices = list(Path("/dev").glob("nvidia[0-9]*"))
    gpus = find_gpus()
    assert len(gpus) == len(devices)
    assert [gpu.index for gpu in gpus] == list(range(len(gpus)))
    assert all(gpu.name and gpu.memory > 2**30 for gpu in gpus)


def test_can_be_asked_twice() -> None:
    assert find_gpus() == find_gpus()

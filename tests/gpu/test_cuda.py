from __future__ import annotations

import pytest

from tfserve.gpu.cuda import cuda_of
from tfserve.spec.image import ImageReference


@pytest.mark.parametrize(
    ("tag", "name", "driver"),
    [
        (None, "CUDA 12.5", "525.60.13"),
        ("nightly", "CUDA 12.5", "525.60.13"),
        ("2.21.0", "CUDA 12.5", "525.60.13"),
        ("2.19.1", "CUDA 12.2", "525.60.13"),
        ("2.19.1-gpu", "CUDA 12.2", "525.60.13"),
        ("2.14.1", "CUDA 11.8", "450.80.02"),
        ("2.11.0", "CUDA 11.2", "450.80.02"),
        ("2.3.0", "CUDA 10.1", "418.39"),
        ("1.15.0", "CUDA 10.0", "410.48"),
        ("1.12.0", "CUDA 9.0", "384.81"),
    ],
)
def test_cuda_of_a_release(tag: str | None, name: str, driver: str) -> None:
    cuda = cuda_of(ImageReference.parse(tag=tag).official_variant(gpu=True))
    assert cuda is not None
    assert (cuda.name, cuda.driver_name) == (name, driver)


def test_unknown_cuda() -> None:
    assert cuda_of(ImageReference.parse("my/serving").official_variant(gpu=True)) is None
    assert cuda_of(ImageReference.parse("tensorflow/serving@sha256:" + "0" * 64).official_variant(gpu=True)) is None
    assert cuda_of(ImageReference.parse(tag="1.8.0").official_variant(gpu=True)) is None


@pytest.mark.parametrize(
    ("driver", "runs"),
    [("525.60.13", True), ("525.60.14", True), ("525.60", False), ("580.1", True), ("470.256.02", False), ("?", True)],
)
def test_drivers(driver: str, runs: bool) -> None:
    cuda = cuda_of(ImageReference.parse(tag="2.19.1").official_variant(gpu=True))
    assert cuda is not None
    assert cuda.runs_on(driver) is runs

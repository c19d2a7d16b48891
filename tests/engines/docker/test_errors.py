from __future__ import annotations

import pytest

from tfserve.engines.docker.errors import gpu_refusal

CLI = "OCI runtime create failed: … running hook #0: … nvidia-container-cli: "


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ('could not select device driver "" with capabilities: [[gpu]]', "without the NVIDIA Container Toolkit"),
        ("unknown or invalid runtime name: nvidia", "without the NVIDIA Container Toolkit"),
        ("Unknown runtime specified nvidia", "without the NVIDIA Container Toolkit"),
        (
            CLI + "requirement error: unsatisfied condition: cuda>=12.5, please update your driver to a newer version",
            "too old for the image, which needs cuda>=12.5",
        ),
        (CLI + "device error: 7: unknown device: unknown", "has no GPU 7"),
        (CLI + "initialization error: nvml error: driver/library version mismatch", "version mismatch"),
        (CLI + "initialization error: nvml error: driver not loaded", "no working NVIDIA driver"),
        (CLI + "initialization error: load library failed: libnvidia-ml.so.1: cannot open", "no working NVIDIA driver"),
        (CLI + "initialization error: WSL environment detected but no adapters were found", "no working NVIDIA driver"),
        (CLI + "ldcache error: process /sbin/ldconfig failed", "could not provide a GPU"),
        ("CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=all", "no description (CDI)"),
    ],
)
@pytest.mark.parametrize("host", [None, "gpu-box"])
def test_messages_about_gpus(words: str, cause: str, host: str | None) -> None:
    error = gpu_refusal(words, host)
    assert error is not None
    assert error.exit_code == 9
    assert cause in error.message
    assert error.details == words
    assert "gpu=False" in str(error.hint)
    assert ("gpu-box" in str(error.hint)) is (host is not None)


def test_a_message_about_something_else() -> None:
    assert gpu_refusal("no such file or directory", None) is None

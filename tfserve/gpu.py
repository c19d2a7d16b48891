"""Facts about NVIDIA GPUs, read through NVML."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Gpu", "find_gpus"]


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU of this machine: its index, its name, and its memory in bytes."""

    index: int
    name: str
    memory: int


def find_gpus() -> tuple[Gpu, ...]:
    """Lists the NVIDIA GPUs of this machine; empty when there is none, or no driver for it."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver, or one that does not answer: no GPU can be used
        return ()
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return tuple(
            Gpu(index, str(pynvml.nvmlDeviceGetName(handle)), int(pynvml.nvmlDeviceGetMemoryInfo(handle).total))
            for index, handle in enumerate(handles)
        )
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()

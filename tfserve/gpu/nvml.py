"""A separate program that queries NVML, NVIDIA's management library, and prints the result as JSON.

It runs in its own process because the library of a faulty driver can crash, or hang so that no signal interrupts it;
see `tfserve.gpu.probe`.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Prints one JSON object: the driver and its GPUs, or `error`, NVML's error code, and `text`, its meaning."""
    import pynvml

    try:
        pynvml.nvmlInit()
        found = {
            "driver": str(pynvml.nvmlSystemGetDriverVersion()),
            "cuda": int(pynvml.nvmlSystemGetCudaDriverVersion()),
            "gpus": [_gpu(index) for index in range(pynvml.nvmlDeviceGetCount())],
        }
    except pynvml.NVMLError as error:
        found = {"error": error.value, "text": str(error)}
    print(json.dumps(found), flush=True)  # noqa: T201 - the output is for the parent process


def _gpu(index: int) -> dict[str, Any]:
    import pynvml

    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        slices = _slices(handle)
        return {
            "index": index,
            "name": str(pynvml.nvmlDeviceGetName(handle)),
            "uuid": str(pynvml.nvmlDeviceGetUUID(handle)),
            "memory": int(memory.total),
            "free": int(memory.free),
            "partitioned": slices is not None,
            "slices": slices or [],
        }
    except pynvml.NVMLError as error:  # such as a GPU that has fallen off the bus
        return {"index": index, "name": "GPU", "uuid": "", "memory": 0, "free": 0, "failure": str(error)}


def _slices(handle: Any) -> list[str] | None:
    """Returns the UUIDs of a GPU's MIG devices; None if it is not partitioned, or its driver does not support MIG."""
    import pynvml

    try:
        if pynvml.nvmlDeviceGetMigMode(handle)[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
            return None
    except pynvml.NVMLError:
        return None
    found = []
    for number in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        with suppress(pynvml.NVMLError):  # fewer devices exist than the maximum
            found.append(str(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number))))
    return found

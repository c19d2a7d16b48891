"""The GPUs that a server requests, in the notation of Docker's ``--gpus``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tfserve.errors import UsageError

__all__ = ["GpuRequest"]

_HINT = "Use all, a number of GPUs (2), indices (0,2; device=2 for a single one), or UUIDs (GPU-…, MIG-…)."
_UUID = r"(GPU|MIG)-[0-9A-Za-z/-]+"
_DEVICE = re.compile(rf"\d{{1,3}}(:\d{{1,3}})?|{_UUID}")


@dataclass(frozen=True)
class GpuRequest:
    """The GPUs that a server requests.

    Attributes:
        count: how many GPUs, starting with the first; None for all GPUs or for `devices`.
        devices: the indices and UUIDs of the GPUs; empty to select them by `count`.
    """

    count: int | None = None
    devices: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> GpuRequest:
        """Parses ``all``, ``2``, ``0,2``, ``device=2``, ``GPU-…`` or ``MIG-…``.

        Raises:
            UsageError: `text` has another form.
        """
        given = text.strip().strip('"')  # docker run requires quotes: --gpus '"device=0,2"'
        if given == "all":
            return cls()
        if given.isdecimal() and given.isascii() and 0 < int(given) < 1000:
            return cls(count=int(given))
        devices = tuple(part.strip() for part in given.removeprefix("device=").split(",") if part.strip())
        is_list = given.startswith(("device=", "GPU-", "MIG-")) or len(devices) > 1
        if not is_list or not devices or not all(map(_DEVICE.fullmatch, devices)):
            raise UsageError(f"{text[:200]!r} is not a valid selection of GPUs.", hint=_HINT)
        if len(set(devices)) < len(devices):
            raise UsageError(f"{text[:200]!r} contains a GPU twice.", hint=_HINT)
        return cls(devices=devices)

    @property
    def option(self) -> str:
        """The value of Docker's ``--gpus``, not yet quoted as a single CSV field."""
        if self.devices:
            return f"device={','.join(self.devices)}"
        return "all" if self.count is None else str(self.count)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that make the same selection for the nvidia runtime, and enable CUDA.

        Source: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html
        """
        first = "all" if self.count is None else ",".join(map(str, range(self.count)))
        return {
            "NVIDIA_VISIBLE_DEVICES": ",".join(self.devices) or first,
            "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        }

"""Which of the GPUs were asked for, in Docker's words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tfserve.errors import UsageError

__all__ = ["GpuRequest"]

_HINT = "Write it as all, a number of GPUs (2), indices (0,2; device=2 for one), or UUIDs (GPU-…, MIG-…)."
_UUID = r"(GPU|MIG)-[0-9A-Za-z/-]+"
_DEVICE = re.compile(rf"\d{{1,3}}(:\d{{1,3}})?|{_UUID}")


@dataclass(frozen=True)
class GpuRequest:
    """The GPUs that a server gets.

    Attributes:
        count: how many, the first ones; None for all, or for `devices`.
        devices: indices and UUIDs; empty where they are not named.
    """

    count: int | None = None
    devices: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> GpuRequest:
        """Reads ``all``, ``2``, ``0,2``, ``device=2``, ``GPU-…`` or ``MIG-…``.

        Raises:
            UsageError: `text` is none of these.
        """
        given = text.strip().strip('"')  # docker wants the device=0,2 of its --gpus quoted
        if given == "all":
            return cls()
        if given.isdecimal() and given.isascii() and 0 < int(given) < 1000:
            return cls(count=int(given))
        devices = tuple(part.strip() for part in given.removeprefix("device=").split(",") if part.strip())
        named = given.startswith(("device=", "GPU-", "MIG-")) or len(devices) > 1
        if not named or not devices or not all(map(_DEVICE.fullmatch, devices)):
            raise UsageError(f"{text[:200]!r} does not say which GPUs.", hint=_HINT)
        if len(set(devices)) < len(devices):
            raise UsageError(f"{text[:200]!r} names a GPU twice.", hint=_HINT)
        return cls(devices=devices)

    @property
    def option(self) -> str:
        """The value of Docker's ``--gpus``, before it is quoted as one field of CSV."""
        if self.devices:
            return f"device={','.join(self.devices)}"
        return "all" if self.count is None else str(self.count)

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the nvidia runtime is told the same, and that it is for computing.

        Source: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html
        """
        first = "all" if self.count is None else ",".join(map(str, range(self.count)))
        return {
            "NVIDIA_VISIBLE_DEVICES": ",".join(self.devices) or first,
            "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        }

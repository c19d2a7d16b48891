"""The facts about a Docker Engine that a plan depends on."""

from __future__ import annotations

from dataclasses import dataclass

from tfserve.spec.image import platform_of

__all__ = ["NVIDIA_RUNTIME", "EngineFacts"]

NVIDIA_RUNTIME = "nvidia"


@dataclass(frozen=True)
class EngineFacts:
    """Facts about a Docker Engine.

    Attributes:
        rootless: whether it runs as an ordinary user, who is root in its containers.
        selinux: whether it confines containers with SELinux, which denies access to files without a matching label.
        runtimes: the names of its OCI runtimes.
        devices: the CDI devices that it offers to containers, such as ``nvidia.com/gpu=0``; empty for older engines,
            which do not report them.
        architecture: the CPU architecture as its kernel reports it: ``x86_64``, ``aarch64``.
        desktop: whether it belongs to Docker Desktop, and runs in a virtual machine.
        host: the machine it runs on; None for this machine.
    """

    rootless: bool = False
    selinux: bool = False
    runtimes: frozenset[str] = frozenset({"runc"})
    devices: frozenset[str] = frozenset()
    architecture: str = "x86_64"
    desktop: bool = False
    host: str | None = None

    @property
    def platform(self) -> str:
        """The platform of its images: ``linux/amd64``, ``linux/arm64``."""
        return platform_of(self.architecture)

    @property
    def offers_gpus(self) -> bool:
        """Whether it reports NVIDIA GPUs for containers. An engine that does not may still accept a request for one."""
        return NVIDIA_RUNTIME in self.runtimes or any(name.startswith("nvidia.com/gpu") for name in self.devices)

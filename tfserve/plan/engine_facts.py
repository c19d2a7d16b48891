"""Facts about a Docker Engine, as far as a plan has to know of them."""

from __future__ import annotations

from dataclasses import dataclass

from tfserve.spec.image import platform_of

__all__ = ["NVIDIA_RUNTIME", "EngineFacts"]

NVIDIA_RUNTIME = "nvidia"


@dataclass(frozen=True)
class EngineFacts:
    """What is true of a Docker Engine.

    Attributes:
        rootless: whether its root is an ordinary user of the host, so that root in a container is that user.
        selinux: whether it labels containers, which keeps them from files that are not labelled for them.
        runtimes: the names of its OCI runtimes.
        devices: what it offers to containers by name (CDI), such as ``nvidia.com/gpu=0``; older ones do not say.
        architecture: its CPU, as its kernel names it: ``x86_64``, ``aarch64``.
        desktop: whether it is Docker Desktop's, in a virtual machine.
        host: the machine it is on; None for this one.
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
        """Whether it says that it can give a container NVIDIA GPUs; one that does not, may still take a request."""
        return NVIDIA_RUNTIME in self.runtimes or any(name.startswith("nvidia.com/gpu") for name in self.devices)

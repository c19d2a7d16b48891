"""The operating system, and the commands that install on it what serving needs."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

__all__ = ["Family", "System", "invoking_user", "this_system"]

Family = Literal["debian", "fedora", "macos", "other"]

_FAMILIES: dict[str, Family] = {
    "debian": "debian",
    "ubuntu": "debian",
    "fedora": "fedora",
    "rhel": "fedora",
    "centos": "fedora",
}
_DOCKER_PAGES = ("debian", "ubuntu", "fedora", "rhel", "centos")
_KEYRING = "/usr/share/keyrings/nvidia-container-toolkit-keyring.gpg"


@dataclass(frozen=True)
class System:
    """An operating system.

    Attributes:
        family: the kind of package manager: of Debian and Ubuntu, of Fedora and RHEL, or another.
        distribution: ``ID`` in ``/etc/os-release``, such as ``ubuntu``; empty if there is none.
        wsl: whether this is the Windows Subsystem for Linux, which uses the GPU driver of Windows.
        machine: the kernel's name for the CPU: ``x86_64``, ``aarch64``.
        systemd: whether systemd manages the services.
    """

    family: Family = "other"
    distribution: str = ""
    wsl: bool = False
    machine: str = "x86_64"
    systemd: bool = True

    @property
    def docker_page(self) -> str:
        """Docker's installation page for this system. Source: https://docs.docker.com/get-started/get-docker/."""
        if self.wsl:
            return "https://docs.docker.com/desktop/features/wsl/"
        if self.family == "macos":
            return "https://docs.docker.com/desktop/setup/install/mac-install/"
        page = self.distribution if self.distribution in _DOCKER_PAGES else ""
        return f"https://docs.docker.com/engine/install/{page and f'{page}/'}"

    @property
    def install_driver(self) -> str:
        """The commands that install NVIDIA's driver, or a newer one.

        Sources: https://docs.nvidia.com/cuda/wsl-user-guide, https://documentation.ubuntu.com/server/how-to/graphics/,
        https://wiki.debian.org/NvidiaGraphicsDrivers, https://rpmfusion.org/Howto/NVIDIA.
        """
        if self.wsl:
            return (
                "Install NVIDIA's newest driver on Windows, not in WSL: https://www.nvidia.com/drivers\n"
                "Then, on Windows: wsl --shutdown"
            )
        if self.distribution == "ubuntu":
            return "sudo ubuntu-drivers install && sudo reboot"
        if self.family == "debian":
            return "sudo apt-get install -y nvidia-driver && sudo reboot   (in Debian's component non-free)"
        if self.family == "fedora":
            return "sudo dnf install -y akmod-nvidia xorg-x11-drv-nvidia-cuda && sudo reboot   (https://rpmfusion.org)"
        return "Follow https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/"

    @property
    def install_toolkit(self) -> str:
        """The commands that install the NVIDIA Container Toolkit.

        Source: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html
        """
        packages = "https://nvidia.github.io/libnvidia-container"
        if self.family == "debian":
            return (
                f"curl -fsSL {packages}/gpgkey | sudo gpg --dearmor -o {_KEYRING}\n"
                f"curl -fsSL {packages}/stable/deb/nvidia-container-toolkit.list | "
                f"sed 's#deb https://#deb [signed-by={_KEYRING}] https://#g' | "
                "sudo tee /etc/apt/sources.list.d/nvidia-container-toolkit.list\n"
                "sudo apt-get update && sudo apt-get install -y nvidia-container-toolkit"
            )
        if self.family == "fedora":
            return (
                f"curl -fsSL {packages}/stable/rpm/nvidia-container-toolkit.repo | "
                "sudo tee /etc/yum.repos.d/nvidia-container-toolkit.repo\n"
                "sudo dnf install -y nvidia-container-toolkit"
            )
        return "Follow https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html"

    def register_runtime(self, *, rootless: bool = False) -> str:
        """Returns the commands that register the toolkit's runtime with an engine on this machine; same source."""
        if rootless:
            return (
                "nvidia-ctk runtime configure --runtime=docker --config=$HOME/.config/docker/daemon.json"
                " && systemctl --user restart docker\n"
                "sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups --in-place"
            )
        return f"sudo nvidia-ctk runtime configure --runtime=docker && {self.restart_docker}"

    @property
    def restart_docker(self) -> str:
        """The command that restarts the Docker Engine."""
        return "sudo systemctl restart docker" if self.systemd else "sudo service docker restart"

    @property
    def restart_machine(self) -> str:
        """The command that restarts the system, and with it the driver."""
        return "On Windows: wsl --shutdown" if self.wsl else "sudo reboot"

    @property
    def start_docker(self) -> str:
        """The command that starts the Docker Engine."""
        if self.family == "macos":
            return "open -a Docker"
        return "sudo systemctl start docker" if self.systemd else "sudo service docker start"


@cache
def this_system() -> System:
    """Returns the system that this program runs on."""
    if sys.platform == "darwin":
        return System("macos", machine=platform.machine())
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    names = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    return System(
        family=next((_FAMILIES[name] for name in names if name in _FAMILIES), "other"),
        distribution=names[0],
        wsl="microsoft" in platform.release().lower(),
        machine=platform.machine(),
        systemd=Path("/run/systemd/system").is_dir(),
    )


def invoking_user() -> tuple[int, int] | None:
    """Returns the uid and gid of the user who runs this program; None where there are no uids."""
    return (os.getuid(), os.getgid()) if hasattr(os, "getuid") else None

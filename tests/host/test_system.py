from __future__ import annotations

import platform

import pytest

from tfserve.host.system import System, this_system

DEBIAN, UBUNTU = System("debian", "debian"), System("debian", "ubuntu")
FEDORA, MACOS, OTHER = System("fedora", "fedora"), System("macos"), System("other", "arch")
WSL = System("debian", "ubuntu", wsl=True, systemd=False)


def test_this_system() -> None:
    system = this_system()
    assert system.machine == platform.machine()
    assert system.docker_page.startswith("https://docs.docker.com/")


@pytest.mark.parametrize(
    ("system", "page"),
    [
        (DEBIAN, "engine/install/debian/"),
        (UBUNTU, "engine/install/ubuntu/"),
        (FEDORA, "engine/install/fedora/"),
        (System("debian", "linuxmint"), "engine/install/"),
        (OTHER, "engine/install/"),
        (MACOS, "desktop/setup/install/mac-install/"),
        (WSL, "desktop/features/wsl/"),
    ],
)
def test_docker_page(system: System, page: str) -> None:
    assert system.docker_page == f"https://docs.docker.com/{page}"


@pytest.mark.parametrize(
    ("system", "words"),
    [
        (DEBIAN, "apt-get install -y nvidia-driver"),
        (UBUNTU, "ubuntu-drivers install"),
        (FEDORA, "dnf install -y akmod-nvidia"),
        (WSL, "not in WSL"),
        (OTHER, "https://docs.nvidia.com/"),
    ],
)
def test_install_driver(system: System, words: str) -> None:
    assert words in system.install_driver


@pytest.mark.parametrize(
    ("system", "words"),
    [
        (DEBIAN, "apt-get install -y nvidia-container-toolkit"),
        (WSL, "apt-get install -y nvidia-container-toolkit"),
        (FEDORA, "dnf install -y nvidia-container-toolkit"),
        (OTHER, "https://docs.nvidia.com/"),
    ],
)
def test_install_toolkit(system: System, words: str) -> None:
    assert words in system.install_toolkit


def test_register_runtime() -> None:
    assert DEBIAN.register_runtime().endswith("--runtime=docker && sudo systemctl restart docker")
    assert WSL.register_runtime().endswith("&& sudo service docker restart")
    assert "systemctl --user restart docker" in DEBIAN.register_runtime(rootless=True)


def test_restart_machine() -> None:
    assert DEBIAN.restart_machine == FEDORA.restart_machine == "sudo reboot"
    assert WSL.restart_machine == "On Windows: wsl --shutdown"


def test_start_docker() -> None:
    assert DEBIAN.start_docker == "sudo systemctl start docker"
    assert WSL.start_docker == "sudo service docker start"
    assert MACOS.start_docker == "open -a Docker"

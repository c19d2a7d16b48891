"""Uses Debian's packages: to install programs that are missing, and to make a small root file system."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .problem import EngineUnavailableError

SUITE = "bookworm"  # of the image, which may differ from this machine; the wheels in the image are for its Python
PYTHON = "3.11"

_PACKAGES = {
    "dockerd": "docker.io",
    "docker-registry": "docker-registry",
    "ip": "iproute2",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
}
_LEFT_OUT_OF_IMAGE = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")


def is_root_on_debian() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0 and Path("/etc/debian_version").exists()


def architecture() -> str:
    """The architecture of this machine as Debian and Docker name it, such as amd64."""
    return run(["dpkg", "--print-architecture"]).strip()


def missing_packages() -> list[str]:
    """The packages whose programs are missing. Adds the system directories to PATH first."""
    path = os.environ.get("PATH", "").split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join([*path, *({"/usr/sbin", "/sbin"} - set(path))])
    return [package for program, package in _PACKAGES.items() if shutil.which(program) is None]


def install(packages: Sequence[str]) -> None:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-q", "-y", "-o", "Acquire::Retries=3"]
    run([*apt, "update"], env)
    run([*apt, "install", "--no-install-recommends", *packages], env)
    if shutil.which("docker") is None:  # a separate package since Debian 13
        run([*apt, "install", "--no-install-recommends", "docker-cli"], env)


def bootstrap_command(include: Sequence[str]) -> list[str]:
    """The command that writes a root file system with these packages to its output, as a tar."""
    left_out = [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT_OF_IMAGE]
    packages = f"--include={','.join(include)}"
    return ["mmdebstrap", "--quiet", "--variant=essential", packages, "--skip=output/dev", *left_out, SUITE]


def package_mirror() -> list[str]:
    """The mirror that apt of this machine uses for the suite, as an argument of mmdebstrap; empty for its default."""
    fields = "$(REPO_URI)|$(CODENAME)|$(ORIGIN)|$(COMPONENT)"
    for line in run(["apt-get", "indextargets", "--format", fields, "Created-By: Packages"]).splitlines():
        uri, codename, origin, component = line.split("|")
        if (codename, origin, component) == (SUITE, "Debian", "main"):
            return [f"deb {uri} {SUITE} main"]
    return []


def run(command: Sequence[str], env: dict[str, str] | None = None) -> str:
    """Runs a command and returns its output; on failure, raises an error with its last line."""
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise EngineUnavailableError(f"`{' '.join(command)}` failed: {last_line(done.stderr or done.stdout)}")
    return done.stdout


def last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it printed nothing")

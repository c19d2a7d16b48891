"""Facts about NVIDIA GPUs: what NVML says of them, and what of their driver and their toolkit this machine has."""

from __future__ import annotations

import json
import os
import platform
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = ["Failure", "Gpu", "GpuFacts", "GpuProbe"]

LIBRARY = "libnvidia-ml.so.1"
LOOK_SECONDS = 10.0  # of a driver that wakes eight GPUs one after the other
TOOLKIT = ("nvidia-container-runtime-hook", "nvidia-container-runtime", "nvidia-ctk")

Failure = Literal[
    "no library", "wrong architecture", "no driver", "mismatch", "no permission", "hangs", "crashes", "fails"
]

# https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html (nvmlReturn_t)
_FAILURES: dict[int, Failure] = {4: "no permission", 9: "no driver", 10: "hangs", 12: "no library", 18: "mismatch"}

_SYSTEM_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/lib/wsl/lib")
_ELF_MACHINES = {"i386": 3, "i686": 3, "x86_64": 62, "aarch64": 183}  # e_machine, of the ELF specification
_DISPLAY_CONTROLLER = "0x03"
_NVIDIA = "0x10de"


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU of this machine.

    Attributes:
        index: its number, as NVML counts.
        name: its product name.
        uuid: ``GPU-…``.
        memory: its memory in bytes.
        free: how much of that nobody uses.
        partitioned: whether it is in MIG mode, in which only its slices can be used.
        slices: the UUIDs of those, ``MIG-…``.
        failure: what NVML says in place of all that when the GPU does not answer.
    """

    index: int
    name: str
    uuid: str
    memory: int
    free: int
    partitioned: bool = False
    slices: tuple[str, ...] = ()
    failure: str | None = None


@dataclass(frozen=True)
class GpuFacts:
    """What is true of the GPUs of this machine.

    Attributes:
        gpus: those that NVML shows.
        driver: the driver's version, such as ``550.54.15``; None without one.
        cuda: the newest CUDA that it runs, as (12, 4).
        failure: why NVML says nothing.
        details: how it says so itself.
        cards: how many NVIDIA display controllers are on the PCI bus, with a driver or without.
        programs: which of the NVIDIA Container Toolkit's programs are installed.
    """

    gpus: tuple[Gpu, ...] = ()
    driver: str | None = None
    cuda: tuple[int, int] | None = None
    failure: Failure | None = None
    details: str | None = None
    cards: int = 0
    programs: frozenset[str] = frozenset()

    @property
    def present(self) -> bool:
        """Whether there is any sign of an NVIDIA GPU, usable or not."""
        return bool(self.gpus or self.cards or self.failure not in (None, "no library"))


class GpuProbe:
    """A look at the GPUs, which goes on in a process of its own while others do something else.

    Args:
        seconds: how long NVML may take in all, from now on.
    """

    def __init__(self, seconds: float = LOOK_SECONDS) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._process = _ask_nvml() if _is_installed() else None

    def facts(self) -> GpuFacts:
        """Returns what was found; waits for it, but no longer than it may take."""
        programs = frozenset(name for name in TOOLKIT if shutil.which(name, path=_path_of_root()))
        cards = _cards()
        if self._process is None:
            return GpuFacts(failure="no library", cards=cards, programs=programs)
        try:
            output, _ = self._process.communicate(timeout=max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()  # and not waited for: what hangs in the driver does not even end now
            details = f"NVML did not answer within {self._seconds:g} s"
            return GpuFacts(failure="hangs", details=details, cards=cards, programs=programs)
        try:
            said = json.loads(output)
        except ValueError:
            details = f"What asked NVML ended with code {self._process.returncode}"
            return GpuFacts(failure="crashes", details=details, cards=cards, programs=programs)
        if "error" in said:
            failure = _FAILURES.get(said["error"], "fails")
            if failure == "no library" and _is_foreign():
                failure = "wrong architecture"
            return GpuFacts(failure=failure, details=said["text"], cards=cards, programs=programs)
        return GpuFacts(
            gpus=tuple(_gpu(data) for data in said["gpus"]),
            driver=said["driver"],
            cuda=(said["cuda"] // 1000, said["cuda"] % 1000 // 10),  # 12040 is CUDA 12.4
            cards=cards,
            programs=programs,
        )


def _gpu(data: dict[str, Any]) -> Gpu:
    return Gpu(**{**data, "slices": tuple(data.get("slices", ()))})


def _ask_nvml() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-S", "-c", "from tfserve.gpu.nvml import main; main()"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
    )


def _is_installed() -> bool:
    """Whether the driver's library is anywhere; when it is not, there is no need to ask it."""
    if sys.platform != "linux":
        return sys.platform == "win32"
    try:
        known = Path("/etc/ld.so.cache").read_bytes()
    except OSError:  # as in musl's world
        known = b""
    return LIBRARY.encode() in known or any(path.exists() for path in _places())


def _is_foreign() -> bool:
    """Whether there is a library, for another CPU than this one; the loader passes over it, as if it was not there."""
    return any(_machine_of(path) not in (None, _ELF_MACHINES.get(platform.machine())) for path in _places())


def _places() -> Iterator[Path]:
    for directory in (*os.environ.get("LD_LIBRARY_PATH", "").split(":"), *_SYSTEM_LIBRARIES):
        if directory:
            yield Path(directory, LIBRARY)


def _machine_of(library: Path) -> int | None:
    """The ELF number of the CPU that a library is for; None where there is none."""
    try:
        with library.open("rb") as file:
            head = file.read(20)
    except OSError:
        return None
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    return int(struct.unpack("<H" if head[5] == 1 else ">H", head[18:])[0])


def _cards() -> int:
    """How many NVIDIA display controllers the PCI bus has."""
    found = 0
    for device in Path("/sys/bus/pci/devices").glob("*"):
        try:
            vendor, kind = ((device / name).read_text() for name in ("vendor", "class"))
        except OSError:  # it was unplugged
            continue
        found += vendor.startswith(_NVIDIA) and kind.startswith(_DISPLAY_CONTROLLER)
    return found


def _path_of_root() -> str:
    """Where programs are that only root has on its PATH, too, as the Docker Engine does."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])

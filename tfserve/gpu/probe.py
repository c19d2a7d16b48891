"""The NVIDIA GPUs of this machine, as NVML reports them, and the installed driver and toolkit."""

from __future__ import annotations

import json
import os
import platform
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Literal

from tfserve.host.programs import find_program
from tfserve.host.search_paths import NEUTRAL_DIRECTORY, safe_environment

__all__ = ["PROBE_SECONDS", "Failure", "Gpu", "GpuFacts", "GpuProbe"]

LIBRARY = "libnvidia-ml.so.1"
PROBE_SECONDS = 10.0  # enough for a driver that wakes eight GPUs one by one
TOOLKIT = ("nvidia-container-runtime-hook", "nvidia-container-runtime", "nvidia-ctk")

Failure = Literal[
    "no library", "wrong architecture", "no driver", "mismatch", "no permission", "hangs", "crashes", "fails"
]

# https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html (nvmlReturn_t)
_FAILURES: dict[int, Failure] = {4: "no permission", 9: "no driver", 10: "hangs", 12: "no library", 18: "mismatch"}

_SYSTEM_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/lib/wsl/lib")
_ELF_MACHINES = {"i386": 3, "i686": 3, "x86_64": 62, "aarch64": 183}  # e_machine in the ELF specification
_DISPLAY_CONTROLLER = "0x03"
_NVIDIA = "0x10de"
_QUERY = "import sys; sys.path[:] = filter(None, sys.path); from tfserve.gpu.nvml import main; main()"


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU of this machine.

    Attributes:
        index: the index of the GPU in NVML.
        name: the product name.
        uuid: the UUID, ``GPU-…``.
        memory: the size of its memory in bytes.
        free: the size of its free memory in bytes.
        partitioned: whether it is in MIG mode, in which only its slices can be used.
        slices: the UUIDs of its slices, ``MIG-…``.
        failure: NVML's error message if the GPU does not respond; the other facts are then missing.
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
    """The facts about the GPUs of this machine.

    Attributes:
        gpus: the GPUs that NVML lists.
        driver: the version of the driver, such as ``550.54.15``; None if there is no driver.
        cuda: the newest CUDA release that the driver supports, such as (12, 4).
        failure: why NVML does not work; None if it does.
        details: NVML's own message about the failure.
        cards: the number of NVIDIA display controllers on the PCI bus, with or without a driver.
        programs: the installed programs of the NVIDIA Container Toolkit.
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
        """Whether this machine appears to have an NVIDIA GPU, usable or not."""
        return bool(self.gpus or self.cards or self.failure not in (None, "no library"))


class GpuProbe:
    """A probe of the GPUs, which runs in a separate process in the background.

    Args:
        seconds: how long NVML may take, from now on.
    """

    def __init__(self, seconds: float = PROBE_SECONDS) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._process = _start_query() if _is_installed() else None

    def facts(self) -> GpuFacts:
        """Waits for the result, at most until the timeout, and returns it."""
        programs = frozenset(name for name in TOOLKIT if find_program(name, _path_of_root()))
        cards = _cards()
        if self._process is None:
            return GpuFacts(failure="no library", cards=cards, programs=programs)
        try:
            output, _ = self._process.communicate(timeout=max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()  # without waiting: a process that hangs in the driver cannot even be killed
            details = f"NVML did not respond within {self._seconds:g} s"
            return GpuFacts(failure="hangs", details=details, cards=cards, programs=programs)
        try:
            answer = json.loads(output)
        except ValueError:
            details = f"The program that queries NVML exited with code {self._process.returncode}"
            return GpuFacts(failure="crashes", details=details, cards=cards, programs=programs)
        if "error" in answer:
            failure = _FAILURES.get(answer["error"], "fails")
            if failure == "no library" and _is_foreign():
                failure = "wrong architecture"
            return GpuFacts(failure=failure, details=answer["text"], cards=cards, programs=programs)
        return GpuFacts(
            gpus=tuple(_gpu(data) for data in answer["gpus"]),
            driver=answer["driver"],
            cuda=(answer["cuda"] // 1000, answer["cuda"] % 1000 // 10),  # 12040 is CUDA 12.4
            cards=cards,
            programs=programs,
        )


def _gpu(data: dict[str, Any]) -> Gpu:
    return Gpu(**{**data, "slices": tuple(data.get("slices", ()))})


def _start_query() -> subprocess.Popen[bytes]:
    """Starts the process that queries NVML. It imports only from the directories of tfserve and of its library.

    Without ``site``, which takes longer than the query, it does not know these directories.
    """
    library = PathFinder.find_spec("pynvml", [entry for entry in sys.path if entry.startswith("/")])
    needed = [Path(__file__).parents[2], *([Path(library.origin).parent] if library and library.origin else ())]
    return subprocess.Popen(
        [sys.executable, "-S", "-c", _QUERY],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=NEUTRAL_DIRECTORY,
        env=safe_environment({**os.environ, "PYTHONPATH": os.pathsep.join(map(str, needed))}),
    )


def _is_installed() -> bool:
    """Whether the driver's library is installed; otherwise there is no need to start a process."""
    if sys.platform != "linux":
        return sys.platform == "win32"
    try:
        known = Path("/etc/ld.so.cache").read_bytes()
    except OSError:  # such as on musl
        known = b""
    return LIBRARY.encode() in known or any(path.exists() for path in _places())


def _is_foreign() -> bool:
    """Whether the installed library is for another CPU; the loader skips such a library as if it did not exist."""
    return any(_machine_of(path) not in (None, _ELF_MACHINES.get(platform.machine())) for path in _places())


def _places() -> Iterator[Path]:
    for directory in (*os.environ.get("LD_LIBRARY_PATH", "").split(":"), *_SYSTEM_LIBRARIES):
        if directory.startswith("/"):  # the process that loads it has another working directory
            yield Path(directory, LIBRARY)


def _machine_of(library: Path) -> int | None:
    """Returns the ELF machine number of a library; None if it is not a library."""
    try:
        with library.open("rb") as file:
            head = file.read(20)
    except OSError:
        return None
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    return int(struct.unpack("<H" if head[5] == 1 else ">H", head[18:])[0])


def _cards() -> int:
    """Returns the number of NVIDIA display controllers on the PCI bus."""
    found = 0
    for device in Path("/sys/bus/pci/devices").glob("*"):
        try:
            vendor, kind = ((device / name).read_text() for name in ("vendor", "class"))
        except OSError:  # it was removed
            continue
        found += vendor.startswith(_NVIDIA) and kind.startswith(_DISPLAY_CONTROLLER)
    return found


def _path_of_root() -> str:
    """Returns PATH with the directories that only root has on it, because the Docker Engine runs as root."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])

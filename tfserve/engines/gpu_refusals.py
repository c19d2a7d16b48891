"""What a Docker Engine means when it refuses to start a container with a GPU."""

from __future__ import annotations

import re
from collections.abc import Callable

from tfserve.errors import GpuError
from tfserve.host.system import System, this_system

__all__ = ["gpu_refusal"]


def _commands(system: System) -> str:
    return f"{system.install_toolkit}\n{system.register_runtime()}"


# Words of dockerd and of nvidia-container-cli (https://github.com/NVIDIA/libnvidia-container), what they mean, and what
# mends it on a system.
_REFUSALS: tuple[tuple[str, str, Callable[[System], str]], ...] = (
    (
        r"could not select device driver|unknown or invalid runtime name|unknown runtime",
        "The Docker Engine cannot give a container a GPU: it was started without the NVIDIA Container Toolkit.",
        lambda system: (
            f"Where the toolkit is installed: {system.restart_docker}\nWhere it is not:\n{_commands(system)}"
        ),
    ),
    (
        r"unresolvable CDI devices|failed to inject CDI devices",
        "The Docker Engine has no description (CDI) of the GPUs that were asked for.",
        lambda system: "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml && " + system.restart_docker,
    ),
    (
        r"unsatisfied condition: (?P<needed>[^,\s]+)",
        "The NVIDIA driver is too old for the image, which needs {needed}.",
        lambda system: f"Take an older image (--tag), or install a newer driver:\n{system.install_driver}",
    ),
    (
        r"device error: (?P<device>[^:]+): unknown device",
        "The Docker Engine's machine has no GPU {device}.",
        lambda system: "List those it has: nvidia-smi -L",
    ),
    (
        r"version mismatch",
        "The NVIDIA driver was updated and not yet loaded (driver/library version mismatch).",
        lambda system: system.restart_machine,
    ),
    (
        r"driver not loaded|load library failed: libnvidia-ml|driver error|no adapters were found|nvml error",
        "The Docker Engine's machine has no working NVIDIA driver.",
        lambda system: f"See what it says: nvidia-smi. To install it:\n{system.install_driver}",
    ),
    (
        r"nvidia-container-cli|nvidia-container-runtime",
        "The NVIDIA Container Toolkit could not give the container a GPU.",
        lambda system: "See what the driver says: nvidia-smi. What the toolkit says is above.",
    ),
)


def gpu_refusal(text: str, host: str | None) -> GpuError | None:
    """Reads the engine's words for a container that did not start.

    Args:
        text: those words.
        host: the machine of the engine; None for this one.

    Returns:
        The error to raise; None when it has nothing to do with a GPU.
    """
    for words, cause, mend in _REFUSALS:
        if match := re.search(words, text, re.IGNORECASE):
            # Nothing is known of another machine's system: most engines are on Debian or Ubuntu.
            commands = mend(this_system() if host is None else System("debian", "ubuntu"))
            where = "" if host is None else f"On {host}, if it has Debian or Ubuntu:\n"
            return GpuError(
                cause.format(**match.groupdict()),
                hint=f"{where}{commands}\nOr do without a GPU: --no-gpu",
                details=text,
            )
    return None

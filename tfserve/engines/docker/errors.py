"""What a Docker Engine means when it refuses to create or start a container."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tfserve.engines.base import Server
from tfserve.engines.conflicts import name_taken, port_taken
from tfserve.engines.docker.client import LOG_HINT, explanation
from tfserve.errors import GpuError, ImageError, NotReadyError, SavedModelError, UsageError
from tfserve.host.system import System, this_system

if TYPE_CHECKING:
    from tfserve.plan.launch_plan import LaunchPlan

__all__ = ["SHARE_HINT", "gpu_refusal", "is_unseen_mount", "launch_errors"]

SHARE_HINT = "in Docker Desktop, share the directory (Settings, Resources, File sharing)."


@contextmanager
def launch_errors(server: LaunchPlan | Server, host: str | None) -> Iterator[None]:
    """Turns the engine's refusals to create or start a container into errors that name the cause.

    Args:
        server: what is started.
        host: the machine of the engine; None for this one.
    """
    import docker.errors

    from tfserve.engines.diagnosis import recognise

    try:
        yield
    except docker.errors.APIError as error:
        text = explanation(error)
        lowered = text.lower()
        if "is already in use by container" in lowered:
            raise name_taken(server.name) from error
        if "port is already allocated" in lowered or "address already in use" in lowered:
            existing = server.name if isinstance(server, Server) else None
            raise port_taken(server=existing, details=text) from error
        if "range of cpus is from" in lowered:
            raise UsageError(
                f"The engine does not have that many CPUs: {text}.", hint="Give --cpus a number within that range."
            ) from error
        if isinstance(error, docker.errors.ImageNotFound):
            raise ImageError(
                f"The engine has no image {server.image}.", hint="Pull it first: tfserve pull", details=text
            ) from error
        if server.gpu and (refusal := gpu_refusal(text, host)):
            raise refusal from error
        if is_unseen_mount(text):
            raise SavedModelError(
                "The Docker Engine does not see the model's directory, or a file of a flag.",
                hint=f"On another machine they have to be there too; {SHARE_HINT}",
                details=text,
            ) from error
        if diagnosis := recognise([text], None):  # such as a program for another CPU
            raise NotReadyError(diagnosis.cause, hint=diagnosis.hint, details=text, doctor=diagnosis.doctor) from error
        raise NotReadyError(f"Docker Engine could not start {server.name!r}: {text}.", hint=LOG_HINT) from error


def is_unseen_mount(text: str) -> bool:
    """Whether the engine's words mean that it does not see a directory that a container should have."""
    lowered = text.lower()
    return "bind source path does not exist" in lowered or "mounts denied" in lowered


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

"""Explains why a Docker Engine refused to create or start a container."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tfserve.engines.base import Server
from tfserve.engines.conflicts import name_taken, port_taken
from tfserve.engines.docker.client import LOG_HINT, UnexpectedAnswerError, explanation
from tfserve.errors import (
    Attribute,
    GpuError,
    ImageError,
    NotReadyError,
    SavedModelError,
    TfserveError,
    UsageError,
    Wording,
)
from tfserve.host.system import System, this_system
from tfserve.text import printable

if TYPE_CHECKING:
    from tfserve.plan.launch_plan import LaunchPlan

__all__ = ["SHARE_HINT", "damaged_container", "gpu_refusal", "is_unseen_mount", "launch_errors"]

SHARE_HINT = "in Docker Desktop, share the directory (Settings, Resources, File sharing)."


_MAX_SHOWN = 200
_CONTAINER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")


@contextmanager
def launch_errors(server: LaunchPlan | Server, host: str | None) -> Iterator[None]:
    """Turns refusals to create or start a container into errors that name the cause.

    Args:
        server: what is started.
        host: the machine of the engine; None for this one.
    """
    import docker.errors

    from tfserve.engines.diagnosis import recognize
    from tfserve.engines.docker.causes import docker_causes

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
                Wording("The engine does not have that many CPUs: {text}.", text=text),
                hint=Wording("Set {cpus} to a number in that range."),
                about=("cpus",),
            ) from error
        if isinstance(error, docker.errors.ImageNotFound):
            raise ImageError(
                f"Image {server.image} is not on this engine.",
                hint=f"Pull it: tfserve pull {server.image}",
                details=text,
            ) from error
        if server.gpu and (refusal := gpu_refusal(text, host)):
            raise refusal from error
        if is_unseen_mount(text):
            raise SavedModelError(
                "The Docker Engine does not see the model's directory, or a file that a flag names.",
                hint=f"On another machine, they must exist there too; {SHARE_HINT}",
                details=text,
            ) from error
        if diagnosis := recognize([text], None, first=docker_causes()):  # such as a program for another CPU
            raise NotReadyError(diagnosis.cause, hint=diagnosis.hint, details=text, doctor=diagnosis.doctor) from error
        raise NotReadyError(f"Docker Engine could not start {server.name!r}: {text}.", hint=LOG_HINT) from error


def is_unseen_mount(text: str) -> bool:
    """Whether the engine reports that it does not see a directory that is to be mounted."""
    lowered = text.lower()
    return "bind source path does not exist" in lowered or "mounts denied" in lowered


def _commands(system: System) -> str:
    return f"{system.install_toolkit}\n{system.register_runtime()}"


# Messages of dockerd and of nvidia-container-cli (https://github.com/NVIDIA/libnvidia-container), their meanings, and
# how to fix the cause on a system.
_REFUSALS: tuple[tuple[str, str, Callable[[System], str]], ...] = (
    (
        r"could not select device driver|unknown or invalid runtime name|unknown runtime",
        "The Docker Engine cannot provide a GPU: it was started without the NVIDIA Container Toolkit.",
        lambda system: f"If the toolkit is installed: {system.restart_docker}\nOtherwise:\n{_commands(system)}",
    ),
    (
        r"unresolvable CDI devices|failed to inject CDI devices",
        "The Docker Engine has no description (CDI) of the requested GPUs.",
        lambda system: "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml && " + system.restart_docker,
    ),
    (
        r"unsatisfied condition: (?P<needed>[^,\s]+)",
        "The NVIDIA driver is too old for the image, which needs {needed}.",
        lambda system: f"Use an older image, or install a newer driver:\n{system.install_driver}",
    ),
    (
        r"device error: (?P<device>[^:]+): unknown device",
        "The Docker Engine's machine has no GPU {device}.",
        lambda system: "List its GPUs: nvidia-smi -L",
    ),
    (
        r"version mismatch",
        "The NVIDIA driver was updated, but has not been loaded yet (driver/library version mismatch).",
        lambda system: system.restart_machine,
    ),
    (
        r"driver not loaded|load library failed: libnvidia-ml|driver error|no adapters were found|nvml error",
        "The Docker Engine's machine has no working NVIDIA driver.",
        lambda system: f"Check its status: nvidia-smi. To install it:\n{system.install_driver}",
    ),
    (
        r"nvidia-container-cli|nvidia-container-runtime",
        "The NVIDIA Container Toolkit could not provide a GPU.",
        lambda system: "Check the driver: nvidia-smi. The message of the toolkit is shown above.",
    ),
)


def gpu_refusal(text: str, host: str | None) -> GpuError | None:
    """Explains a message of the engine about a container that did not start.

    Args:
        text: the message.
        host: the machine of the engine; None for this one.

    Returns:
        The error to raise; None if the message is not about a GPU.
    """
    for words, cause, fix in _REFUSALS:
        if match := re.search(words, text, re.IGNORECASE):
            # The system of another machine is unknown; most engines run on Debian or Ubuntu.
            commands = fix(this_system() if host is None else System("debian", "ubuntu"))
            where = "" if host is None else f"On {host}, if it has Debian or Ubuntu:\n"
            return GpuError(
                cause.format(**match.groupdict()),
                hint=Wording(
                    "{commands}\nOr serve without a GPU: {no_gpu}",
                    commands=f"{where}{commands}",
                    no_gpu=Attribute("gpu", value=False),
                ),
                details=text,
            )
    return None


def damaged_container(data: Any, error: UnexpectedAnswerError) -> TfserveError:
    """The error for a container with a label of tfserve that cannot be read as a server.

    Args:
        data: its entry in the engine's list, of any form.
        error: why it cannot be read.
    """
    fields = data if isinstance(data, dict) else {}
    names = fields.get("Names")
    name = names[0] if isinstance(names, list) and names else fields.get("Id")
    name = name.removeprefix("/") if isinstance(name, str) else ""
    shown = printable(name, limit=_MAX_SHOWN) or "without a name"
    remove = f"to remove it: docker rm --force {name}" if _CONTAINER_NAME.fullmatch(name) else "see: docker ps --all"
    return TfserveError(
        f"The container {shown} is not a server that tfserve can read: {error.details}.",
        hint=f"Another program or user made it, or changed its labels; {remove}",
    )

"""What a Docker Engine means when it refuses to create or start a container."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tfserve.engines.base import Server, name_taken, ports_taken
from tfserve.engines.docker_client import LOG_HINT, explanation
from tfserve.errors import ImageError, NotReadyError, SavedModelError, UsageError

if TYPE_CHECKING:
    from tfserve.plan.launch_plan import LaunchPlan

__all__ = ["SHARE_HINT", "is_unseen_mount", "launch_errors"]

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
    from tfserve.engines.gpu_refusals import gpu_refusal

    try:
        yield
    except docker.errors.APIError as error:
        text = explanation(error)
        lowered = text.lower()
        if "is already in use by container" in lowered:
            raise name_taken(server.name) from error
        if "port is already allocated" in lowered or "address already in use" in lowered:
            raise ports_taken(text, started_before=isinstance(server, Server)) from error
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

"""Finds the program that serves models on this machine without a container, and checks what it needs."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from tfserve.defaults import INSTALL_LOCAL
from tfserve.errors import Attribute, EngineUnavailableError, NotReadyError, Wording
from tfserve.host.programs import find_program, python_command

if TYPE_CHECKING:
    from tfserve.plan.launch_plan import Binary

__all__ = [
    "FORK_SERVER_COMMAND",
    "OFFICIAL",
    "OWN_COMMAND",
    "SANDBOXED_COMMAND",
    "find_binary",
    "how_to_serve",
    "is_installed",
    "missing",
    "not_started",
]

OFFICIAL = "tensorflow_model_server"
OWN_COMMAND = python_command("tfserve.model_server")
FORK_SERVER_COMMAND = python_command("tfserve.model_server.fork_server")
SANDBOXED_COMMAND = python_command("tfserve.model_server.sandboxed")
_NEEDED = ("tensorflow", "numpy", "orjson", "httptools", "grpc")


def is_installed() -> bool:
    """Whether the local engine can serve, with the official server on PATH or with tfserve's own."""
    return bool(find_program(OFFICIAL)) or not missing()


def how_to_serve() -> Wording:
    """What the user can do to serve on this machine without a container."""
    local = Attribute("engine", "local")
    return Wording("{local}" if is_installed() else "{install}, then {local}", local=local, install=INSTALL_LOCAL)


def find_binary() -> Binary:
    """Finds the program: ``tensorflow_model_server`` on PATH, or else ``tfserve-model-server``.

    Raises:
        EngineUnavailableError: neither is installed.
    """
    from tfserve.plan.launch_plan import Binary

    official = find_program(OFFICIAL)
    if official:
        return Binary((official,), official=True)
    lacks = missing()
    if lacks:
        raise EngineUnavailableError(
            f"The local engine is not installed; missing packages: {', '.join(lacks)}.",
            hint=f"Install it: {INSTALL_LOCAL}",
        )
    return Binary(OWN_COMMAND, official=False)


def missing() -> list[str]:
    """The modules that tfserve's own server needs and that are not installed."""
    return [name for name in _NEEDED if find_spec(name) is None]


def not_started(program: str, error: OSError) -> NotReadyError:
    """The error for a program that the system cannot start."""
    from tfserve.engines.diagnosis import recognize
    from tfserve.engines.local.causes import LOCAL_CAUSES

    diagnosis = recognize([str(error.strerror)], None, first=LOCAL_CAUSES)
    return NotReadyError(
        f"{program!r} could not be started: {error.strerror}." + (f" {diagnosis.cause}" if diagnosis else ""),
        hint=diagnosis.hint if diagnosis else None,
        doctor=True,
    )

"""Runs a container attached to this process's input and output, and removes it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR, SHUT_WR
from typing import TYPE_CHECKING, Any

from tfserve.engines.docker.client import docker_errors, explanation
from tfserve.engines.docker.engine import DockerEngine
from tfserve.engines.docker.errors import SHARE_HINT, is_unseen_mount, launch_errors
from tfserve.engines.docker.removal import remove_container
from tfserve.engines.docker.translate import container_arguments
from tfserve.errors import CommandNotFoundError, CommandRefusedError, TfserveError, UsageError
from tfserve.interrupts import interrupts_deferred
from tfserve.plan.launch_plan import LaunchPlan

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["Attached", "attached"]

# A sequence that no user types; the default, Ctrl-P Ctrl-Q, would delay every Ctrl-P in a shell.
_DETACH_KEYS = "ctrl-@,ctrl-^,ctrl-@"


class Attached:
    """A running container, with the connections to its input and output.

    Args:
        client: the connection to the engine.
        container: the id of the container.
        socket: the engine's socket for its output, and for its input on a terminal.
        terminal: whether it has a terminal, and so a single output stream.
        piped: the engine's socket for piped input; None if there is none.
    """

    def __init__(self, client: APIClient, container: str, socket: Any, *, terminal: bool, piped: Any = None) -> None:
        self._client = client
        self._container = container
        self._responses = (socket, piped)  # keep a reference: they close the sockets when they are deleted
        self._socket = _bare(socket)
        self._piped = None if piped is None else _bare(piped)
        self._terminal = terminal

    def output(self) -> Iterator[tuple[bool, bytes]]:
        """Yields the output until the container exits, each piece with whether it was written to stderr."""
        from docker.utils.socket import STDERR, frames_iter

        with docker_errors():
            for stream, data in frames_iter(self._socket, self._terminal):
                yield stream == STDERR, data

    def send(self, data: bytes) -> None:
        """Sends `data` to its terminal or its piped input."""
        (self._socket if self._piped is None else self._piped).sendall(data)

    def end_input(self) -> None:
        """Closes the piped input; a terminal stays open."""
        if self._piped is not None:
            with suppress(OSError):  # the container has exited
                self._piped.shutdown(SHUT_WR)

    def resize(self, lines: int, columns: int) -> None:
        """Resizes its terminal; does nothing if the container has just exited."""
        with suppress(TfserveError), docker_errors():
            self._client.resize(self._container, lines, columns)

    def close(self) -> None:
        """Closes the connections; with unread output, the engine could not stop the container."""
        for socket in filter(None, (self._socket, self._piped)):
            with suppress(OSError):
                socket.shutdown(SHUT_RDWR)

    def exit_code(self) -> int:
        """Waits until the container has exited, and returns its exit code."""
        with docker_errors():
            return int(self._client.wait(self._container)["StatusCode"])


def _bare(socket: Any) -> Any:
    """Returns the raw socket in the SDK's wrapper, without a timeout."""
    bare = getattr(socket, "_sock", socket)
    bare.settimeout(None)
    return bare


@contextmanager
def attached(engine: DockerEngine, plan: LaunchPlan, *, terminal: bool, piped: bool = False) -> Iterator[Attached]:
    """Starts the container of `plan`, and removes it at the end of the block, even if it is still running.

    The container runs the command of the plan directly, without the entrypoint of the image.

    Args:
        engine: the engine.
        plan: the container to start.
        terminal: whether the container gets a terminal, which includes its input.
        piped: whether the container gets piped input, which can end before the container exits.

    Raises:
        CommandNotFoundError: the image does not contain the command.
        CommandRefusedError: the image cannot run the command.
        PortTakenError: another program listens on a port of the plan.
        ImageError: the engine does not have the image.
        GpuError: the engine cannot give the container a GPU.
        UsageError: a directory of the plan does not exist on the engine's machine.
    """
    client, container, connection = engine.client, None, None
    arguments = container_arguments(client, plan)
    arguments["host_config"]["LogConfig"] = {"Type": "none"}  # all output goes to this process
    arguments["detach"] = not piped  # so that the end of the piped input also ends its stdin
    arguments["entrypoint"] = [""]  # no entrypoint
    try:
        with docker_errors(), launch_errors(plan, engine.host), _start_errors(plan):
            with interrupts_deferred():
                container = client.create_container(**arguments, tty=terminal, stdin_open=terminal or piped)["Id"]
            streams = {"stdin": int(terminal), "stdout": 1, "stderr": 1, "stream": 1, "detachKeys": _DETACH_KEYS}
            socket = client.attach_socket(container, params=streams)
            # Piped input has a separate connection, which can be closed on its own even over TLS.
            stdin = client.attach_socket(container, params={"stdin": 1, "stream": 1}) if piped else None
            connection = Attached(client, container, socket, terminal=terminal, piped=stdin)
            client.start(container)
        yield connection
    finally:
        if connection is not None:
            connection.close()
        if container is not None:
            with interrupts_deferred(), suppress(TfserveError), docker_errors():
                remove_container(client, container)


@contextmanager
def _start_errors(plan: LaunchPlan) -> Iterator[None]:
    """Explains errors of the command or the sources, with the exit codes of the ``docker`` command: 127 and 126."""
    import docker.errors

    try:
        yield
    except docker.errors.APIError as error:
        text = explanation(error)
        if is_unseen_mount(text):
            raise UsageError(
                f"The Docker Engine cannot access {plan.mounts[0].source!r}.",
                hint=f"If the engine runs on another machine, the sources must exist there; {SHARE_HINT}",
                details=text,
            ) from error
        command = plan.command[0]
        again = f"tfserve devel --image {plan.image}"
        if f'exec: "{command}"' in text:
            if "permission denied" in text or "is a directory" in text:
                raise CommandRefusedError(
                    f"{plan.image} cannot run {command!r}, which is not a program.",
                    hint=f"Give a program: {again} -- bash -c '…'",
                ) from error
            raise CommandNotFoundError(
                f"{plan.image} does not contain the command {command!r}.",
                hint=f"List its commands: {again} -- bash -c 'compgen -c | sort'",
            ) from error
        raise

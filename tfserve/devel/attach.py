"""A container whose input and output are this process's: started, talked to, and gone when that is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR, SHUT_WR
from typing import TYPE_CHECKING, Any

from tfserve.engines.docker.client import docker_errors, explanation
from tfserve.engines.docker.engine import DockerEngine
from tfserve.engines.docker.errors import SHARE_HINT, is_unseen_mount, launch_errors
from tfserve.engines.docker.translate import container_arguments
from tfserve.errors import CommandNotFoundError, CommandRefusedError, TfserveError, UsageError
from tfserve.interrupts import interrupts_deferred
from tfserve.plan.launch_plan import LaunchPlan

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["Attached", "attached"]

# Nobody types these three; the engine's own, Ctrl-P Ctrl-Q, would hold back every Ctrl-P of a shell's user.
_DETACH_KEYS = "ctrl-@,ctrl-^,ctrl-@"


class Attached:
    """A running container, and the way to its input and output.

    Args:
        client: the engine.
        container: the container's id.
        socket: what the engine gave for it.
        terminal: whether it has a terminal, and so one output alone.
        piped: what the engine gave for its input alone; None where that has no end of its own, or there is none.
    """

    def __init__(self, client: APIClient, container: str, socket: Any, *, terminal: bool, piped: Any = None) -> None:
        self._client = client
        self._container = container
        self._responses = (socket, piped)  # which would close the sockets if they went away
        self._socket = _bare(socket)
        self._piped = None if piped is None else _bare(piped)
        self._terminal = terminal

    def output(self) -> Iterator[tuple[bool, bytes]]:
        """Yields what it writes until it ends, each piece with whether it went to stderr."""
        from docker.utils.socket import STDERR, frames_iter

        with docker_errors():
            for stream, data in frames_iter(self._socket, self._terminal):
                yield stream == STDERR, data

    def send(self, data: bytes) -> None:
        """Types `data` into its terminal, or writes it to what is piped in."""
        (self._socket if self._piped is None else self._piped).sendall(data)

    def end_input(self) -> None:
        """Ends what is piped in; a terminal goes on."""
        if self._piped is not None:
            with suppress(OSError):  # it has ended
                self._piped.shutdown(SHUT_WR)

    def resize(self, lines: int, columns: int) -> None:
        """Tells how large its terminal is; one that has just ended does not care."""
        with suppress(TfserveError), docker_errors():
            self._client.resize(self._container, lines, columns)

    def close(self) -> None:
        """Ends the connection: what nobody reads any more would keep the engine from ending the container."""
        for socket in filter(None, (self._socket, self._piped)):
            with suppress(OSError):
                socket.shutdown(SHUT_RDWR)

    def exit_code(self) -> int:
        """Waits until it has ended, and returns its exit code."""
        with docker_errors():
            return int(self._client.wait(self._container)["StatusCode"])


def _bare(socket: Any) -> Any:
    """The socket below what the SDK wraps around it; its reader waits as long as it takes."""
    bare = getattr(socket, "_sock", socket)
    bare.settimeout(None)
    return bare


@contextmanager
def attached(engine: DockerEngine, plan: LaunchPlan, *, terminal: bool, piped: bool = False) -> Iterator[Attached]:
    """Starts the container of `plan`, and removes it at the end of the block, whether it has ended or not.

    It runs the command of the plan itself, whatever the image's entrypoint would make of it.

    Args:
        engine: the engine.
        plan: what to start.
        terminal: whether it gets a terminal, and with it input.
        piped: whether it gets input without one, which can end before it does.

    Raises:
        CommandNotFoundError: it does not have the command.
        CommandRefusedError: it cannot run the command.
        PortTakenError: another program listens on a port of the plan.
        ImageError: the engine does not have the image.
        GpuError: the engine cannot give it the GPU it asks for.
        UsageError: the engine does not see a directory of the plan.
    """
    client, container, connection = engine.client, None, None
    try:
        with docker_errors(), launch_errors(plan, engine.host), _start_errors(plan):
            with interrupts_deferred():
                arguments = container_arguments(client, plan)
                # Nobody will read its log.
                arguments["host_config"]["LogConfig"] = {"Type": "none"}
                arguments["detach"] = not piped  # so that the end of what is piped in is the end of its input
                arguments["entrypoint"] = [""]  # the engine's word for none
                container = client.create_container(**arguments, tty=terminal, stdin_open=terminal or piped)["Id"]
            streams = {"stdin": int(terminal), "stdout": 1, "stderr": 1, "stream": 1, "detachKeys": _DETACH_KEYS}
            socket = client.attach_socket(container, params=streams)
            # A connection of its own can be ended whatever it goes through; TLS could not be closed one way alone.
            stdin = client.attach_socket(container, params={"stdin": 1, "stream": 1}) if piped else None
            connection = Attached(client, container, socket, terminal=terminal, piped=stdin)
            client.start(container)
        yield connection
    finally:
        if connection is not None:
            connection.close()
        if container is not None:
            with interrupts_deferred(), suppress(TfserveError), docker_errors():
                client.remove_container(container, force=True, v=True)


@contextmanager
def _start_errors(plan: LaunchPlan) -> Iterator[None]:
    """Tells what is wrong with the command or the source as the ``docker`` command does: with 127 or 126."""
    import docker.errors

    try:
        yield
    except docker.errors.APIError as error:
        text = explanation(error)
        if is_unseen_mount(text):
            raise UsageError(
                f"The Docker Engine does not see {plan.mounts[0].source!r}.",
                hint=f"On another machine the sources have to be there too; {SHARE_HINT}",
                details=text,
            ) from error
        command = plan.command[0]
        again = f"tfserve devel --image {plan.image}"
        if f'exec: "{command}"' in text:
            if "permission denied" in text or "is a directory" in text:
                raise CommandRefusedError(
                    f"{plan.image} cannot run {command!r}: it is no program.",
                    hint=f"Give a program: {again} -- bash -c '…'",
                ) from error
            raise CommandNotFoundError(
                f"{plan.image} has no command {command!r}.",
                hint=f"Look for it: {again} -- bash -c 'compgen -c | sort'",
            ) from error
        raise

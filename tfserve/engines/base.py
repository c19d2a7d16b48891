"""What an engine is: it starts a plan, finds what it started, and ends it. And what a server looks like to the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tfserve.defaults import Api
from tfserve.errors import NameTakenError, PortTakenError
from tfserve.spec.server_flags import flag_value

if TYPE_CHECKING:
    from tfserve.models.saved_model import ModelDirectory
    from tfserve.plan.launch_plan import HostPorts, LaunchPlan
    from tfserve.spec.serve import ServeSpec

__all__ = ["Engine", "EngineName", "Exit", "Server", "changed_elsewhere", "name_taken", "ports_taken"]

EngineName = Literal["docker", "local"]


@dataclass(frozen=True)
class Exit:
    """How a server ended: its exit code (128 + N for signal N), None when nobody saw it; and whether memory ran out."""

    code: int | None
    out_of_memory: bool = False

    @property
    def on_request(self) -> bool:
        """Whether it ended the way a server does that somebody stopped: by itself, or by SIGINT, SIGKILL or SIGTERM."""
        return self.code in (None, 0, 130, 137, 143) and not self.out_of_memory


@dataclass(frozen=True)
class Server:
    """One model server, running or stopped.

    Attributes:
        name: its name.
        engine: what runs it.
        state: ``created``, ``running``, ``paused``, ``restarting``, ``removing``, ``exited`` or ``dead``.
        models: the names of its models.
        created: when it was made.
        rest_url: where its REST API is reached; None when it is stopped or not published.
        grpc_address: the same for gRPC, as ``host:port``.
        image: its image; None for a local process.
        container_id: its container; None for a local process.
        pid: its process; None in a container, and when it is not running.
        gpu: whether it uses a GPU.
        exit: how it ended; None while it runs.
        auto_remove: whether it is removed when it stops (``run --rm``).
        mounts: the paths of its engine's machine that it sees.
        config: where it sees the ``models.config`` that tfserve made for it; None when there is none.
        spec: what of its spec is not a default, as JSON has it; empty when somebody else wrote something else there.
    """

    name: str
    engine: EngineName
    state: str
    models: tuple[str, ...]
    created: datetime
    rest_url: str | None = None
    grpc_address: str | None = None
    image: str | None = None
    container_id: str | None = None
    pid: int | None = None
    gpu: bool = False
    exit: Exit | None = None
    auto_remove: bool = False
    mounts: tuple[str, ...] = ()
    config: str | None = None
    spec: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self.state in ("running", "paused", "restarting")

    def address(self, api: Api) -> str | None:
        """Where an API of it is asked: gRPC over TLS (``https://``) if it was told to by --ssl_config_file."""
        if api == "rest":
            return self.rest_url
        secured = flag_value(self.spec.get("server_flags", ()), "ssl_config_file")
        return f"https://{self.grpc_address}" if secured and self.grpc_address else self.grpc_address


class Engine(Protocol):
    """Runs plans. Every method may raise `EngineUnavailableError` when the engine does not answer (any more)."""

    @property
    def name(self) -> EngineName:
        """Which engine this is."""
        ...

    @property
    def shares_ports(self) -> bool:
        """Whether it publishes on this machine, so that a look at this machine's ports says what is free."""
        ...

    def plan(
        self, spec: ServeSpec, directories: Sequence[ModelDirectory], ports: HostPorts, *, gpu: bool
    ) -> LaunchPlan:
        """Plans what `spec` asks for, with what is true of this engine; see `tfserve.plan.launch_plan`."""
        ...

    def launch(self, plan: LaunchPlan) -> Server:
        """Starts a plan and returns at once, long before the server is ready.

        Nothing is left behind when it fails, or when it is interrupted.

        Raises:
            NameTakenError: there is a server of this name, running or stopped.
            PortTakenError: another program listens on a port of the plan.
            ImageError: the engine does not have the image.
            GpuError: the engine cannot give it the GPU it asks for.
            SavedModelError: the engine does not see the model's directory.
            NotReadyError: the engine could not start it.
        """
        ...

    def servers(self) -> list[Server]:
        """Lists all servers of this engine, oldest first."""
        ...

    def find(self, name: str) -> Server | None:
        """Finds a server by name."""
        ...

    def logs(
        self,
        server: Server,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
        timestamps: bool = False,
    ) -> Iterator[str]:
        """Yields the lines of the server's log, without their line ends.

        Args:
            server: whose log.
            follow: whether to wait for more until the server ends.
            tail: how many of the last lines there are; None for all.
            since: only lines written after this.
            timestamps: whether each line begins with the time it was written, RFC 3339.
        """
        ...

    def start(self, server: Server) -> Server:
        """Starts a stopped or paused server again.

        Raises:
            PortTakenError: its port has been taken since.
            NotReadyError: the engine could not start it.
        """
        ...

    def stop(self, server: Server, *, grace: float) -> None:
        """Tells a server to end, and ends it after `grace` seconds. One that runs with ``remove`` is removed."""
        ...

    def remove(self, server: Server) -> None:
        """Removes a server, ending it at once if it runs, with its log and all that was made for it."""
        ...

    def models_config(self, server: Server) -> str | None:
        """Returns the ``models.config`` that tfserve made for the server; None when it has none."""
        ...

    def keep_models(self, server: Server, config: str, models: Sequence[str]) -> None:
        """Keeps a changed ``models.config``, of `models`, for the server's next start and for whoever looks."""
        ...

    def bring_model(self, server: Server, name: str, directory: ModelDirectory) -> str:
        """Lets a server that runs see one more model, and returns the base path by which it does.

        There is nothing else under that base path, whatever was served by that name before.
        """
        ...

    def versions(self, server: Server, base_path: str) -> tuple[int, ...]:
        """Returns the versions that the server sees under a base path on a disk, in rising order."""
        ...

    def environment(self, server: Server) -> Mapping[str, str]:
        """Returns the variables that the server runs with, or some more."""
        ...

    def set_aside(self, server: Server, *, grace: float) -> Server | None:
        """Stops a server and frees its name, so that another can take its place.

        Returns:
            What can be brought back; None when nothing is left of the server, as it removes itself.

        Raises:
            NameTakenError: somebody else does the same at the same time.
        """
        ...

    def bring_back(self, aside: Server, original: Server) -> None:
        """Undoes `set_aside`, and starts `original` again if it was running.

        Raises:
            NameTakenError: another server has its place by now.
        """
        ...


def name_taken(name: str) -> NameTakenError:
    """The error for a name that a server has already."""
    return NameTakenError(
        f"The name {name!r} is taken by another server.",
        hint=f"Choose another --name, take its place with --replace, or remove it: tfserve rm {name}",
    )


def changed_elsewhere(name: str) -> NameTakenError:
    """The error for a name that somebody else takes, or frees, while this command does."""
    return NameTakenError(
        f"Another tfserve is changing the server {name!r} at the same time.",
        hint="Run this again when that is done; tfserve ps shows the server.",
    )


def ports_taken(details: str | None = None, *, started_before: bool = False) -> PortTakenError:
    """The error for a port that turned out to be taken when a server was started, for the first time or again."""
    return PortTakenError(
        "A port of the server is taken by another program.",
        hint="End that program, or remove the server and make it anew on another port."
        if started_before
        else "Choose others with --rest-port and --grpc-port; 0 takes any free one.",
        details=details,
    )

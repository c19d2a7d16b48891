"""The interface of an engine and of its servers: what every package below `tfserve.engines` provides.

A new engine is a new package. Its ``__init__.py`` sets `KIND` to an `EngineKind` (see `tfserve.engines.kinds`), which
leads to an `Engine`, which leads to `Server` objects.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tfserve.defaults import Api
from tfserve.errors import Wording

if TYPE_CHECKING:
    from pathlib import Path

    from tfserve.models.saved_model import ModelDirectory
    from tfserve.plan.launch_plan import HostPorts, LaunchPlan
    from tfserve.spec.serve import ServeSpec

__all__ = ["AddedModel", "Diagnosis", "Engine", "Exit", "Planner", "Server"]


@dataclass(frozen=True)
class Exit:
    """How a server exited: its exit code (128 + N for signal N), None if unknown; and whether it ran out of memory."""

    code: int | None
    out_of_memory: bool = False

    @property
    def on_request(self) -> bool:
        """Whether it exited as a server does that was stopped: with 0, or by SIGINT, SIGKILL or SIGTERM."""
        return self.code in (None, 0, 130, 137, 143) and not self.out_of_memory


class AddedModel(NamedTuple):
    """The base path of a model as its server sees it, and whether it is a copy, which does not get later versions."""

    base_path: str
    copied: bool


@dataclass(frozen=True)
class Diagnosis:
    """The cause of a failed start in one sentence, what to do about it, and whether ``tfserve doctor`` examines it."""

    cause: str
    hint: str | Wording
    doctor: bool = False


@dataclass(frozen=True)
class Server(ABC):
    """One model server, running or stopped: a snapshot of its state, and a handle to control it.

    A method that changes the server does not change the snapshot; `Engine.find` takes a new one. Two snapshots are
    equal if they report the same state. Every method may raise `EngineUnavailableError` if the engine stops answering.

    Attributes:
        name: its name.
        engine: the engine that runs it.
        state: ``created``, ``running``, ``paused``, ``restarting``, ``removing``, ``exited`` or ``dead``.
        models: the names of its models.
        created: when it was created.
        rest_url: the URL of its REST API; None if it is stopped or the API is not published.
        grpc_address: the same for gRPC, as ``host:port``.
        image: its image; None for a local process.
        container_id: its container; None for a local process.
        pid: its process; None in a container, and when it is not running.
        gpu: whether it uses a GPU.
        exit: how it exited; None while it is running.
        auto_remove: whether it is removed when it stops (``run --rm``).
        mounts: the paths on its engine's machine that it can read.
        config: the path, as the server sees it, of the ``models.config`` that tfserve wrote for it; None without one.
        label: the label that records its spec.
    """

    name: str
    engine: Engine = field(repr=False, compare=False)
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
    label: str = field(default="", repr=False, compare=False)

    @cached_property
    def spec(self) -> ServeSpec | None:
        """The spec in its label, without the values of its environment; None if the label is damaged."""
        from tfserve.plan.spec_label import spec_from_label

        return spec_from_label(self.label)

    @property
    def flag_files(self) -> Mapping[str, str]:
        """The digests of the text files that its server flags name, as they were when it was created."""
        from tfserve.plan.spec_label import flag_files_from_label

        return flag_files_from_label(self.label)

    @property
    def running(self) -> bool:
        """Whether its process is running."""
        return self.state in ("running", "paused", "restarting")

    def _speaks_tls(self) -> bool:
        """Whether its gRPC API uses TLS. The modules that read the spec are loaded only for servers that may."""
        from tfserve.spec.server_flags import flag_value

        return self.spec is not None and bool(flag_value(self.spec.server_flags, "ssl_config_file"))

    def address(self, api: Api) -> str | None:
        """The address of one of its APIs; gRPC over TLS (``https://``) if --ssl_config_file was given."""
        if api == "rest":
            return self.rest_url
        secured = "--ssl_config_file=" in self.label and self._speaks_tls()
        return f"https://{self.grpc_address}" if secured and self.grpc_address else self.grpc_address

    @property
    def reload_address(self) -> str | Path | None:
        """Where it takes configuration reloads: the address of its gRPC API, or a UNIX socket; None for nowhere."""
        return self.address("grpc")

    @abstractmethod
    def logs(
        self,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
        timestamps: bool = False,
    ) -> Iterator[str]:
        """Yields the lines of its log, without their line ends.

        Args:
            follow: whether to wait for more lines until the server exits.
            tail: how many of the last lines to yield; None for all.
            since: yields only lines written after this time.
            timestamps: whether each line begins with the time it was written, in RFC 3339.
        """

    @abstractmethod
    def start(self) -> Server:
        """Starts it again after it was stopped or paused.

        Raises:
            PortTakenError: another program has taken its port in the meantime.
            NotReadyError: the engine could not start it.
        """

    @abstractmethod
    def stop(self, *, grace: float) -> None:
        """Terminates it, and kills it after `grace` seconds. A server with `auto_remove` is removed."""

    @abstractmethod
    def remove(self) -> None:
        """Removes it with its log and all its files; a running server is killed first."""

    @abstractmethod
    def models_config(self) -> str | None:
        """Returns the content of its ``models.config`` that tfserve wrote; None if it has none."""

    @abstractmethod
    def save_models_config(self, config: str, models: Sequence[str]) -> None:
        """Saves a changed ``models.config``, which names `models`, for its next start."""

    @abstractmethod
    def add_model(self, name: str, directory: ModelDirectory) -> AddedModel:
        """Makes one more model visible to it while it is running, and returns where it sees the model.

        The base path contains nothing else, even if another model of that name was served before.
        """

    @abstractmethod
    def versions(self, base_path: str) -> tuple[int, ...]:
        """Returns the versions that it sees under a base path on a disk, in ascending order."""

    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """Returns the variables of its process; there may be others that it was not given explicitly."""

    @abstractmethod
    def diagnose(self, log: Sequence[str], exited: Exit | None) -> Diagnosis | None:
        """Finds the cause of its failed start in the last lines of its `log`, and in how it exited, if it did."""

    @abstractmethod
    def suspend(self, *, grace: float) -> Server | None:
        """Stops it and frees its name, so that another server can replace it.

        Returns:
            The server to `restore`; None if nothing is left because of `auto_remove`.

        Raises:
            NameTakenError: another command is replacing the server at the same time.
        """

    @abstractmethod
    def restore(self, original: Server) -> None:
        """Undoes `suspend` on a server that it returned, and starts it again if `original` was running.

        Raises:
            NameTakenError: another server has taken the name.
        """


class Planner(Protocol):
    """Plans servers."""

    @property
    def shares_ports(self) -> bool:
        """Whether servers publish on this machine, so that its own ports show which are free."""
        ...

    def plan(
        self, spec: ServeSpec, directories: Sequence[ModelDirectory], ports: HostPorts, *, gpu: bool
    ) -> LaunchPlan:
        """Plans a server for `spec` from what is known about this engine; see `tfserve.plan.launch_plan`."""
        ...

    def command_line(self, plan: LaunchPlan) -> str:
        """Returns the line for a shell that starts `plan` without tfserve; see `tfserve.exporters`."""
        ...


class Engine(Planner, Protocol):
    """Plans and runs servers. Every method may raise `EngineUnavailableError` if the engine stops answering."""

    @property
    def name(self) -> str:
        """The name of the engine, which is that of its package."""
        ...

    @property
    def reserves_ports(self) -> bool:
        """Whether the engine itself opens published ports, so that no other program can answer on them."""
        ...

    @property
    def records_secrets(self) -> bool:
        """Whether `Server.environment` includes credentials."""
        ...

    def launch(self, plan: LaunchPlan) -> Server:
        """Starts a plan and returns immediately, long before the server is ready.

        Nothing is left behind if it fails or is interrupted.

        Raises:
            NameTakenError: a server of this name exists, running or stopped.
            PortTakenError: another program listens on a port of the plan.
            ImageError: the image is not on the engine.
            GpuError: the engine cannot provide the GPU.
            SavedModelError: the engine cannot read the model's directory.
            NotReadyError: the engine could not start it.
        """
        ...

    def servers(self) -> Sequence[Server]:
        """Lists all servers of this engine, oldest first."""
        ...

    def find(self, name: str) -> Server | None:
        """Finds a server by name."""
        ...

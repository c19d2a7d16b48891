"""A launch plan: plain data that describes what will run.

Engines run plans, exporters write them in other formats, and tests compare them. Plans are made by pure functions: the
same spec and the same facts give the same plan, without access to Docker, files or the clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tfserve.models.bucket_credentials import SECRET_VARIABLES
from tfserve.plan import labels

__all__ = [
    "Binary",
    "HostPorts",
    "LaunchPlan",
    "Mount",
    "PublishedPort",
    "Sandbox",
    "publish",
    "secrets_in",
    "without_secrets",
]

_TUPLES = ("models", "command", "dropped_capabilities", "security_options")


@dataclass(frozen=True)
class Mount:
    """A directory or file of the host (`source`) that the server sees as `target`."""

    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True)
class PublishedPort:
    """A port of the server (`server_port`), published at `host` and `host_port`; 0 is any free port."""

    server_port: int
    host: str
    host_port: int


@dataclass(frozen=True)
class HostPorts:
    """The host ports for REST and gRPC: 0 lets the engine choose a port, None publishes nothing."""

    rest: int | None
    grpc: int | None


@dataclass(frozen=True)
class Binary:
    """The program that a local server runs.

    Attributes:
        argv: the command that starts it, without flags.
        official: whether it is TensorFlow's own ``tensorflow_model_server``, which listens on all interfaces.
    """

    argv: tuple[str, ...]
    official: bool


@dataclass(frozen=True)
class Sandbox:
    """What a local process can use in addition to its program and to what its plan names.

    Attributes:
        read: the files and directories that it can read; also the base paths in its ``models.config``.
        sockets: the paths at which it creates sockets; it can create others beside them.
        connect: whether it can open connections, to read models from buckets.
    """

    read: tuple[str, ...] = ()
    sockets: tuple[str, ...] = ()
    connect: bool = False


@dataclass(frozen=True)
class LaunchPlan:
    """One server, ready to be started.

    Attributes:
        name: the server's name.
        models: the names of its models.
        mounts: the directories and files of the host that it sees.
        files: the text files to create for it: path -> content.
        rest: where the REST API is published; None if it is not.
        grpc: where the gRPC API is published; None if it is not.
        environment: environment variables of its process.
        secrets: more environment variables, whose values are neither shown nor recorded.
        command: for a container, the arguments of the image's entrypoint; for a local process, the whole command line.
        gpu: whether it uses a GPU.
        labels: what tfserve records to find the server again.
        image: the serving image; None for a local process.
        platform: the image's platform; None for the engine's own.
        user: ``uid:gid`` of the process; None for the image's own.
        init: whether an init process forwards signals to it and reaps its children.
        dropped_capabilities: Docker's ``--cap-drop``.
        security_options: Docker's ``--security-opt``.
        memory: the memory limit in bytes; None for no limit.
        cpus: the CPU limit; None for no limit.
        restart: Docker's restart policy; None for ``no``.
        remove: whether the server is removed when it stops.
        runtime: the OCI runtime; None for the engine's default.
        gpus: Docker's ``--gpus``, as ``all``, ``2`` or ``device=0,2``; None for no device request.
        sandbox: what a local process can use; None if it can use whatever its user can.
        reload_socket: the UNIX socket that takes configuration reloads; None if they are sent to the gRPC port.
        notices: what the user should know when it starts, in sentences; these are not recorded.
    """

    name: str
    models: tuple[str, ...]
    mounts: tuple[Mount, ...]
    rest: PublishedPort | None
    grpc: PublishedPort | None
    environment: Mapping[str, str]
    command: tuple[str, ...]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, str] = field(default_factory=dict)
    gpu: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    image: str | None = None
    platform: str | None = None
    user: str | None = None
    init: bool = False
    dropped_capabilities: tuple[str, ...] = ()
    security_options: tuple[str, ...] = ()
    memory: int | None = None
    cpus: float | None = None
    restart: str | None = None
    remove: bool = False
    runtime: str | None = None
    gpus: str | None = None
    sandbox: Sandbox | None = None
    reload_socket: str | None = None
    notices: tuple[str, ...] = field(default=(), compare=False)

    @property
    def container_name(self) -> str:
        """The name of its container."""
        return labels.container_name(self.name)


def to_json(plan: LaunchPlan) -> str:
    """Returns a plan, without its secrets and notices, as a JSON document."""
    data = asdict(plan)
    del data["secrets"], data["notices"]
    return json.dumps(data)


def from_json(text: str) -> LaunchPlan:
    """Reads what `to_json` wrote.

    Raises:
        ValueError: `text` is not a plan.
    """
    try:
        data = json.loads(text)
        ports = {key: PublishedPort(**data[key]) if data[key] else None for key in ("rest", "grpc")}
        tuples = {key: tuple(data[key]) for key in _TUPLES}
        mounts = tuple(Mount(**mount) for mount in data["mounts"])
        return LaunchPlan(**{**data, **ports, **tuples, "mounts": mounts, "sandbox": _sandbox(data.get("sandbox"))})
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a launch plan: {error}") from None


def _sandbox(data: Mapping[str, Any] | None) -> Sandbox | None:
    """Reads a sandbox; servers of earlier versions have none."""
    return None if data is None else Sandbox(tuple(data["read"]), tuple(data["sockets"]), data["connect"])


def secrets_in(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables that are credentials, whose values are passed on but not recorded."""
    return {name: value for name, value in environment.items() if name in SECRET_VARIABLES}


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables that are not credentials."""
    return {name: value for name, value in environment.items() if name not in SECRET_VARIABLES}


def publish(server_port: int, host: str, host_port: int | None) -> PublishedPort | None:
    """Returns where a port of the server is published; None if it is not."""
    return None if host_port is None else PublishedPort(server_port, host, host_port)

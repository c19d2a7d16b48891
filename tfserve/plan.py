"""Spec and facts become a plan: plain data that says what will run.

Engines run a plan, exporters write one down, and tests compare one with another. The functions here are pure: the same
spec and the same facts give the same plan, with no Docker, no files and no clock involved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from tfserve import labels
from tfserve._version import __version__
from tfserve.engine_facts import NVIDIA_RUNTIME, EngineFacts
from tfserve.errors import SavedModelError, UsageError
from tfserve.models.bucket_credentials import SECRET_VARIABLES, Credentials
from tfserve.models.saved_model import ModelDirectory
from tfserve.mounts import Mount, Sight, container_sight, process_sight
from tfserve.spec import image as images
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.serve import ModelSpec, ServeSpec, refuse_container_options

__all__ = ["Binary", "HostPorts", "LaunchPlan", "PublishedPort", "container_plan", "process_plan", "spec_json"]

_NO_CREDENTIALS = Credentials()
_NO_FILES: Mapping[str, str] = {}
_TUPLES = ("models", "command", "dropped_capabilities", "security_options")


@dataclass(frozen=True)
class PublishedPort:
    """A port of the server (`server_port`) that the host listens on, at `host`; `host_port` 0 is any free one."""

    server_port: int
    host: str
    host_port: int


@dataclass(frozen=True)
class HostPorts:
    """The ports of the host for REST and gRPC: 0 lets the engine choose one, None is for not publishing."""

    rest: int | None
    grpc: int | None


@dataclass(frozen=True)
class Binary:
    """The program that a local server runs.

    Attributes:
        argv: how it is started, without flags.
        official: whether it is TensorFlow's own ``tensorflow_model_server``, which listens on every interface.
    """

    argv: tuple[str, ...]
    official: bool


@dataclass(frozen=True)
class LaunchPlan:
    """One server, ready to be started.

    Attributes:
        name: the server's name.
        models: the names of its models.
        mounts: what it sees of the host.
        files: text files that it sees as its own: path -> content.
        rest: where the REST API is published; None for nowhere.
        grpc: where the gRPC API is published; None for nowhere.
        environment: variables of its process.
        secrets: more of them, whose values are shown and written nowhere.
        command: for a container, what follows the image's entrypoint; for a local process, the whole command line.
        gpu: whether it uses a GPU.
        labels: what tfserve has to know to find the server again.
        image: the serving image; None for a local process.
        platform: the image's platform; None for the engine's own.
        user: ``uid:gid`` of the process; None for the image's own.
        init: whether an init process forwards signals to it and reaps its children.
        dropped_capabilities: Docker's ``--cap-drop``.
        security_options: Docker's ``--security-opt``.
        memory: its limit in bytes; None for none.
        cpus: its limit in CPUs; None for none.
        restart: Docker's restart policy; None for ``no``.
        remove: whether the server is removed when it stops.
        runtime: the OCI runtime; None for the engine's default.
        gpus: Docker's ``--gpus``, as ``all``, ``2`` or ``device=0,2``; None for no device request.
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

    @property
    def container_name(self) -> str:
        """The container's name."""
        return labels.container_name(self.name)


def container_plan(
    spec: ServeSpec,
    directories: Sequence[ModelDirectory],
    ports: HostPorts,
    *,
    engine: EngineFacts,
    gpu: bool = False,
    user: tuple[int, int] | None = None,
    credentials: Credentials = _NO_CREDENTIALS,
    packaged: tuple[str, ...] = (),
    flag_files: Mapping[str, str] = _NO_FILES,
) -> LaunchPlan:
    """Plans a container of a serving image.

    Args:
        spec: what was asked for.
        directories: the models of `spec` that are on this machine, in its order.
        ports: where to publish it.
        engine: what is true of the engine.
        gpu: whether to use a GPU.
        user: the uid and gid that can read the models; None where the engine maps users by itself.
        credentials: what it needs to read those in buckets.
        packaged: the names of the models inside the image, when `spec` has none.
        flag_files: the digests of the text files that its server flags name.

    Raises:
        UsageError: the image's name is wrong.
        SavedModelError: a model cannot be mounted whole.
    """
    for directory in directories:
        _check_links(directory)
    sight = container_sight(spec, directories)
    models = tuple(model.name for model in spec.models) or packaged
    runtime = NVIDIA_RUNTIME if gpu and NVIDIA_RUNTIME in engine.runtimes else None
    gpus = spec.gpus or GpuRequest()
    fraction = spec.gpu_memory_fraction if gpu else None
    key_files = {name: path for name, path in credentials.files.items() if name not in spec.environment}
    environment = {
        # What is inside an image, that itself knows how to serve.
        **({"MODEL_NAME": models[0], "MODEL_BASE_PATH": images.MODEL_ROOT} if spec.models and spec.fixed else {}),
        **(gpus.environment if runtime else {}),
        **({"TF_FORCE_GPU_ALLOW_GROWTH": "true"} if gpu and spec.gpu_memory_growth else {}),
        **{name: _secret_file(name) for name in key_files},
        **_plain(spec.environment),
    }
    return LaunchPlan(
        name=spec.name,
        models=models,
        mounts=(*sight.mounts, *(Mount(str(path), _secret_file(name)) for name, path in key_files.items())),
        files=sight.files,
        rest=_publish(images.REST_PORT, spec.host, ports.rest),
        grpc=_publish(images.GRPC_PORT, spec.host, ports.grpc),
        environment=environment,
        secrets={**credentials.variables, **_secret(spec.environment)},
        command=(*([f"--per_process_gpu_memory_fraction={fraction}"] if fraction else ()), *sight.flags),
        gpu=gpu,
        labels=_labels(spec, models, directories, sight, flag_files, gpu=gpu),
        image=str(images.serving_image(spec.image, spec.tag, gpu=gpu)),
        platform=spec.platform,
        user=f"{user[0]}:{user[1]}" if user and not engine.rootless else None,
        init=True,  # the image's entrypoint is a shell, which would neither forward signals nor end on them
        dropped_capabilities=("ALL",),
        security_options=("no-new-privileges", *(("label=disable",) if engine.selinux else ())),
        memory=spec.memory,
        cpus=spec.cpus,
        restart=spec.restart,
        remove=spec.remove,
        runtime=runtime,
        gpus=gpus.option if gpu and not runtime else None,
    )


def process_plan(
    spec: ServeSpec,
    directories: Sequence[ModelDirectory],
    ports: HostPorts,
    *,
    binary: Binary,
    root: Path,
    flag_files: Mapping[str, str] = _NO_FILES,
) -> LaunchPlan:
    """Plans a local process.

    Args:
        spec: what was asked for.
        directories: the models of `spec` that are on this machine, in its order.
        ports: where it listens; each a port or None.
        binary: the program to run.
        root: the server's own directory, in which the engine links the models, as ``/models`` is in a container.
        flag_files: the digests of the text files that its server flags name.

    Raises:
        UsageError: `spec` asks for something that only a container has, or that `binary` does not do.
        GpuError: `spec` asks for a GPU.
    """
    refuse_container_options(spec)
    if not binary.official and (elsewhere := [model.path for model in spec.models if model.in_bucket]):
        raise UsageError(
            f"tfserve's own model server reads models from disks alone, and {elsewhere[0]} is in a bucket.",
            hint="Serve it with --engine docker, or copy it to this machine first.",
        )
    if ports.grpc is None and binary.official:
        raise UsageError(
            "tensorflow_model_server does not start without its gRPC API.", hint="Leave --grpc-port none out."
        )
    models = tuple(model.name for model in spec.models)
    sight = process_sight(spec, directories, str(root))
    flags = [f"--port={ports.grpc or 0}", f"--rest_api_port={ports.rest or 0}"]
    if not binary.official:
        flags.append(f"--bind_address={spec.host}")
    host = "0.0.0.0" if binary.official else spec.host  # noqa: S104 - what the official server does, said to the user
    return LaunchPlan(
        name=spec.name,
        models=models,
        mounts=sight.mounts,
        files=sight.files,
        rest=_publish(ports.rest or 0, host, ports.rest),
        grpc=_publish(ports.grpc or 0, host, ports.grpc),
        environment=_plain(spec.environment),
        secrets=_secret(spec.environment),
        command=(*binary.argv, *flags, *sight.flags),
        labels=_labels(spec, models, directories, sight, flag_files, gpu=False),
        remove=spec.remove,
    )


def to_json(plan: LaunchPlan) -> str:
    """Writes a plan, without its secrets, as one JSON document."""
    data = asdict(plan)
    del data["secrets"]
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
        return LaunchPlan(**{**data, **ports, **tuples, "mounts": tuple(Mount(**mount) for mount in data["mounts"])})
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a launch plan: {error}") from None


def _secret_file(variable: str) -> str:
    return f"/run/secrets/{variable.lower()}"


def _secret(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name in SECRET_VARIABLES}


def _plain(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in SECRET_VARIABLES}


def _publish(server_port: int, host: str, host_port: int | None) -> PublishedPort | None:
    return None if host_port is None else PublishedPort(server_port, host, host_port)


def spec_json(spec: ServeSpec, directories: Sequence[ModelDirectory], flag_files: Mapping[str, str] = _NO_FILES) -> str:
    """What of a spec is not a default, as JSON; the values of its environment, which may be secrets, left out.

    Args:
        spec: what was asked for.
        directories: its models that are here, in its order.
        flag_files: the digests of the text files that its server flags name; a server reads them once, at its start.
    """
    paths = (directory.path for directory in directories)
    models = tuple(model if model.in_bucket else replace(model, path=next(paths)) for model in spec.models)
    # Anybody on the engine can read a label.
    written = asdict(replace(spec, models=models, environment=dict.fromkeys(spec.environment, "")))
    written["models"] = [{key: value for key, value in model.items() if value} for model in written["models"]]
    default = asdict(ServeSpec(name=spec.name, models=(ModelSpec(Path(), spec.name),)))
    asked = {key: value for key, value in written.items() if key in ("name", "models") or value != default[key]}
    return json.dumps({**asked, **({"flag_files": dict(flag_files)} if flag_files else {})}, default=str)


def _labels(
    spec: ServeSpec,
    models: Sequence[str],
    directories: Sequence[ModelDirectory],
    sight: Sight,
    flag_files: Mapping[str, str],
    *,
    gpu: bool,
) -> dict[str, str]:
    return {
        labels.NAME: spec.name,
        labels.MODELS: json.dumps(models),
        labels.GPU: json.dumps(gpu),
        labels.SPEC: spec_json(spec, directories, flag_files),
        labels.VERSION: __version__,
        **({labels.CONFIG: sight.config} if sight.config else {}),
    }


def _check_links(directory: ModelDirectory) -> None:
    """Refuses a newest version that lies outside the mount: in the container its link would lead nowhere."""
    if not directory.newest.path.is_relative_to(directory.path):
        raise SavedModelError(
            f"Version {directory.newest.number} of {str(directory.path)!r} is a link to "
            f"{str(directory.newest.path)!r}, which a container would not see.",
            hint="Copy the version into the directory, or give the linked directory itself.",
        )

"""One server as the user requested it, and how to start it.

This module does not look at the machine. Whether a model exists or a port is free is found out elsewhere;
`tfserve.plan` combines a spec with such facts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfserve.defaults import GRPC_PORT, HOST, REST_PORT, WAIT_SECONDS, EngineChoice, PullPolicy
from tfserve.errors import Attribute, UsageError, Wording
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.image import ImageReference
from tfserve.spec.model import ModelSpec
from tfserve.spec.port_request import PortRequest
from tfserve.spec.server_configs import BatchingValue
from tfserve.spec.values import check_name, check_platform

__all__ = ["LaunchOptions", "ServeSpec", "changed_fields"]

if TYPE_CHECKING:
    from tfserve.spec.field_parsers import Context

_REST_PORT, _GRPC_PORT = PortRequest(REST_PORT), PortRequest(GRPC_PORT)
_NOTHING: Mapping[str, Any] = {}
_RESTART = r"no|always|unless-stopped|on-failure(:\d+)?"
_SET_BY = {
    "enable_batching": "batching",
    "batching_parameters_file": "batching",
    "monitoring_config_file": "monitoring",
    "per_process_gpu_memory_fraction": "gpu_memory_fraction",
}


@dataclass(frozen=True)
class ServeSpec:
    """One server as the user requested it, with the defaults of ``tfserve run``.

    Attributes:
        name: the server's name.
        models: the models to serve; empty for the models inside `image`.
        config: the user's own ``models.config``, which `models` was read from; None if there is none.
        image: the repository, with or without a tag; None for ``tensorflow/serving``.
        tag: the tag; None for the tag in `image`, or ``latest``.
        platform: the platform of the image, such as ``linux/amd64``; None for the engine's own.
        host: the address to publish on.
        rest_port: the host port of the REST API.
        grpc_port: the host port of the gRPC API.
        environment: environment variables of the server's process.
        memory: the memory limit in bytes; None for no limit.
        cpus: the CPU limit; None for no limit.
        restart: Docker's restart policy; None for ``no``.
        remove: whether to remove the server when it stops.
        gpu: True to require a GPU, False to serve on the CPU, None to use a GPU if one is available.
        gpus: the GPUs to use; None for all. Like the two attributes that follow, it requires a GPU.
        gpu_memory_fraction: the share of each GPU's memory to allocate at startup, above 0 and up to 1; None lets
            TensorFlow allocate nearly all.
        gpu_memory_growth: whether to allocate GPU memory as needed, instead of at startup.
        batching: ``BatchingParameters``, to combine requests into batches; None to run them one by one.
        monitoring: the URL path of the Prometheus metrics; None for none.
        server_flags: flags for ``tensorflow_model_server``, as ``--name=value``.
        unsandboxed: whether a local process can use whatever its user can, instead of its models alone.
        reload_over_tcp: whether a local process takes configuration reloads on its gRPC port, from every user.
    """

    name: str
    models: tuple[ModelSpec, ...]
    config: Path | None = None
    image: str | None = None
    tag: str | None = None
    platform: str | None = None
    host: str = HOST
    rest_port: PortRequest = _REST_PORT
    grpc_port: PortRequest = _GRPC_PORT
    environment: Mapping[str, str] = field(default_factory=dict)
    memory: int | None = None
    cpus: float | None = None
    restart: str | None = None
    remove: bool = False
    gpu: bool | None = None
    gpus: GpuRequest | None = None
    gpu_memory_fraction: float | None = None
    gpu_memory_growth: bool = False
    batching: Mapping[str, BatchingValue] | None = None
    monitoring: str | None = None
    server_flags: tuple[str, ...] = ()
    unsandboxed: bool = False
    reload_over_tcp: bool = False

    @classmethod
    def parse(cls, given: Mapping[str, Any], context: Context, shared: Mapping[str, Any] = _NOTHING) -> ServeSpec:
        """Creates a spec from fields as the user wrote them.

        Args:
            given: attributes -> text, or plain data; ``name`` and ``models`` have to be parsed already. Fields of
                `LaunchOptions` are ignored.
            context: what the values may refer to.
            shared: values for fields that are not in `given`; see `parse_fields`.

        Raises:
            UsageError: a value is not valid, or contradicts another; about its attribute.
        """
        from tfserve.spec.fields import parse_fields  # the table is not needed to list servers

        return cls(given["name"], given["models"], **parse_fields(given, context, shared, launch=False))

    def __post_init__(self) -> None:
        """Checks the values as far as possible without looking at the machine."""
        check_name(self.name, kind="server", attribute="name")
        names = [model.name for model in self.models]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise UsageError(
                    f"Two models are named {name!r}.",
                    hint=f"Give one of them another name, for example {name}_2.",
                    about=("models", index, "name"),
                )
        ImageReference.parse(self.image, self.tag)  # raises UsageError if they do not form the name of an image
        check_platform(self.platform)
        if not self.models and self.image is None:
            raise UsageError(
                Wording("There is no model to serve: neither {models} nor {image} was given."),
                hint=Wording("Give {models}, {config} with a models.config, or {image} with models inside the image."),
            )
        if self.restart is not None and not re.fullmatch(_RESTART, self.restart):
            raise UsageError(
                f"{self.restart!r} is not a restart policy.",
                hint="Use no, always, unless-stopped, on-failure or on-failure:TIMES.",
                about=("restart",),
            )
        if self.remove and self.restart not in (None, "no"):
            raise UsageError(
                Wording("{remove} cannot be combined with {restart}: a removed server cannot be restarted."),
                hint="Leave one of them out.",
                about=("remove",),
            )
        if self.cpus is not None and not 0.01 <= self.cpus <= 10_000:
            raise UsageError(
                f"{self.cpus:g} is not a valid number of CPUs.",
                hint="Use 0.01 to 10,000, such as 1.5.",
                about=("cpus",),
            )
        for flag in self.server_flags:
            flag_name = flag[2:].partition("=")[0]
            attribute = _SET_BY.get(flag_name)
            if attribute and getattr(self, attribute) is not None:
                raise UsageError(
                    Wording(
                        "The server flag --{flag} cannot be combined with {setter}, which sets it.",
                        setter=Attribute(attribute),
                        flag=flag_name,
                    ),
                    hint="Leave one of them out.",
                    about=("server_flags", flag_name),
                )
        requested = (self.rest_port.number, self.grpc_port.number)
        if requested[0] and requested[0] == requested[1]:
            raise UsageError(
                f"REST and gRPC cannot share port {requested[0]}.",
                hint=Wording("Use different numbers for {rest_port} and {grpc_port}."),
                about=("grpc_port" if self.grpc_port.explicit else "rest_port",),
            )
        if requested == (None, None):
            raise UsageError(
                "No port is published, so no client could reach the server.",
                hint=Wording("Set {rest_port} or {grpc_port} to a number."),
                about=("grpc_port",),
            )
        self._check_gpu()
        self._check_engines()

    def _check_gpu(self) -> None:
        options = self._gpu_options()
        if self.gpu is False and options:
            raise UsageError(
                Wording(
                    "{no_gpu} cannot be combined with {option}.",
                    no_gpu=Attribute("gpu", False),
                    option=Attribute(options[0]),
                ),
                hint="Leave one of them out.",
                about=(self.gpu_attribute,),
            )
        fraction = self.gpu_memory_fraction
        if fraction is not None and not 0 < fraction <= 1:
            raise UsageError(
                f"{fraction:g} is not a valid share of a GPU's memory.",
                hint="Use more than 0 and at most 1, such as 0.3.",
                about=("gpu_memory_fraction",),
            )

    def _check_engines(self) -> None:
        """Refuses a combination of options that no engine can have."""
        of_containers = [*self.container_options(), *([self.gpu_attribute] if self.wants_gpu else [])]
        of_processes = self.process_options()
        if of_containers and of_processes:
            raise UsageError(
                Wording(
                    "{one} cannot be combined with {other}: one is for containers, the other for local processes.",
                    one=Attribute(of_containers[0]),
                    other=Attribute(of_processes[0]),
                ),
                hint="Leave one of them out.",
                about=(of_processes[0],),
            )

    @property
    def wants_gpu(self) -> bool | None:
        """`gpu`, or True if an attribute that requires a GPU is set."""
        return True if self._gpu_options() else self.gpu

    @property
    def gpu_attribute(self) -> str:
        """The attribute that requires or forbids a GPU."""
        return next(iter(self._gpu_options()), "gpu")

    def _gpu_options(self) -> list[str]:
        given = {
            "gpus": self.gpus is not None,
            "gpu_memory_fraction": self.gpu_memory_fraction is not None,
            "gpu_memory_growth": self.gpu_memory_growth,
        }
        return [name for name, value in given.items() if value]

    @property
    def local_models(self) -> tuple[ModelSpec, ...]:
        """The models that are not in buckets: their files are on this machine, or will be downloaded to it."""
        return tuple(model for model in self.models if not model.is_remote)

    @property
    def single_model(self) -> bool:
        """Whether it needs no ``models.config``: it serves one model's newest version, or the models in its image."""
        requested = [(model.versions, dict(model.labels)) for model in self.models]
        return self.config is None and requested in ([], [(None, {})])

    def container_options(self) -> list[str]:
        """The attributes that are set and only apply to containers."""
        given = {
            "image": self.image,
            "tag": self.tag,
            "platform": self.platform,
            "memory": self.memory,
            "cpus": self.cpus,
            "restart": self.restart,
        }
        return [name for name, value in given.items() if value is not None]

    def process_options(self) -> list[str]:
        """The attributes that are set and only apply to processes of this machine."""
        return [name for name in ("unsandboxed", "reload_over_tcp") if getattr(self, name)]


@dataclass(frozen=True)
class LaunchOptions:
    """How to start a server, as opposed to what it is.

    Attributes:
        engine: which engine to run it on.
        pull: when to pull the image.
        wait_seconds: how long to wait for it to become ready; 0 to not wait.
        smoke_test: whether to send a test request when it is ready; or the request, as JSON or the path of a file,
            instead of the smallest one that the signature allows.
        replace: whether to replace an existing server with the same name.
        keep_failed: whether to keep the server if it does not become ready.
    """

    engine: EngineChoice = "auto"
    pull: PullPolicy = "missing"
    wait_seconds: float = WAIT_SECONDS
    smoke_test: bool | str = True
    replace: bool = False
    keep_failed: bool = False

    @classmethod
    def parse(cls, given: Mapping[str, Any], context: Context, shared: Mapping[str, Any] = _NOTHING) -> LaunchOptions:
        """Creates options from fields as the user wrote them; see `ServeSpec.parse`."""
        from tfserve.spec.fields import parse_fields

        return cls(**parse_fields(given, context, shared, launch=True))

    def __post_init__(self) -> None:
        """Checks the wait, and that the options can be combined."""
        if not self.wait_seconds >= 0:  # "not >=" also refuses nan
            raise UsageError(
                Wording("Expected 0 or more seconds for {wait_seconds}, found {given:g}.", given=self.wait_seconds),
                hint="Use 0 or more, such as 60.",
                about=("wait_seconds",),
            )
        if isinstance(self.smoke_test, str) and not self.wait_seconds:
            raise UsageError(
                Wording("{smoke_test} cannot be combined with {wait}.", wait=Attribute("wait_seconds", 0)),
                hint=Wording("Leave {smoke_test} out, or wait for the server."),
                about=("smoke_test",),
            )
        if self.replace and self.keep_failed:
            raise UsageError(
                Wording(
                    "{replace} cannot be combined with {keep_failed}: if the new server fails, the old one is restored "
                    "under its name."
                ),
                hint=Wording("Leave one of them out, or try the new server under another {name} first."),
            )


def changed_fields(given: ServeSpec | LaunchOptions) -> set[str]:
    """Returns the attributes whose values are not the defaults; the name and the models of a spec have none."""
    default = LaunchOptions() if isinstance(given, LaunchOptions) else ServeSpec(given.name, (ModelSpec(Path(), "m"),))
    names = {field.name for field in fields(given)} - {"name", "models"}
    return {name for name in names if getattr(given, name) != getattr(default, name)}

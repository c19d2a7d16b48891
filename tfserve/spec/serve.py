"""What the user asked for: one server, and how to start it.

Nothing here looks at the machine. Whether a model exists or a port is free are facts that are found elsewhere; `plan`
brings the two together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfserve import defaults
from tfserve.defaults import WAIT_SECONDS, EngineChoice, PullPolicy
from tfserve.errors import Attribute, UsageError, Wording
from tfserve.spec.field_parsers import Context
from tfserve.spec.fields import parse_fields
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.image import ImageReference
from tfserve.spec.model import ModelSpec
from tfserve.spec.port_request import PortRequest
from tfserve.spec.server_configs import BatchingValue
from tfserve.spec.values import check_name, check_platform

__all__ = ["LaunchOptions", "ServeSpec"]

_REST_PORT, _GRPC_PORT = PortRequest(defaults.REST_PORT), PortRequest(defaults.GRPC_PORT)
_NOTHING: Mapping[str, Any] = {}
_RESTART = r"no|always|unless-stopped|on-failure(:\d+)?"
_SAID_BY = {
    "enable_batching": "batching",
    "batching_parameters_file": "batching",
    "monitoring_config_file": "monitoring",
    "per_process_gpu_memory_fraction": "gpu_memory_fraction",
}


@dataclass(frozen=True)
class ServeSpec:
    """One server as somebody asked for it; the defaults are those of ``tfserve run``.

    Attributes:
        name: the server's name.
        models: what it serves; none for the models that are inside `image`.
        config: the user's own ``models.config``, which says what `models` says; None for one of tfserve's, or none.
        image: the repository, with or without a tag; None for ``tensorflow/serving``.
        tag: the tag; None for the one in `image`, or ``latest``.
        platform: ``linux/amd64`` and the like; None for the engine's own.
        host: the address to publish on.
        rest_port: the host port of the REST API.
        grpc_port: the host port of the gRPC API.
        environment: variables of the server's process.
        memory: the most memory it may use, in bytes; None for no limit.
        cpus: the most CPUs it may use; None for no limit.
        restart: Docker's restart policy; None for ``no``.
        remove: whether the server is removed when it stops.
        gpu: True to require a GPU, False to refuse one, None to take one when there is one.
        gpus: which GPUs; None for all. To name them is to require them, as it is to say how much memory they lend:
        gpu_memory_fraction: the share of each GPU's memory that the server takes at its start, above 0 and up to 1;
            None lets TensorFlow take nearly all.
        gpu_memory_growth: whether it begins with little memory and takes more as it needs it.
        batching: ``BatchingParameters``, for requests to be run together; None for one by one.
        monitoring: the URL path of a page of Prometheus metrics; None for none.
        server_flags: flags for ``tensorflow_model_server``, as ``--name=value``.
    """

    name: str
    models: tuple[ModelSpec, ...]
    config: Path | None = None
    image: str | None = None
    tag: str | None = None
    platform: str | None = None
    host: str = defaults.HOST
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

    @classmethod
    def parse(cls, given: Mapping[str, Any], context: Context, shared: Mapping[str, Any] = _NOTHING) -> ServeSpec:
        """Makes a spec of its ``name``, its ``models``, which are parsed already, and other fields as they were given.

        Args:
            given: attributes -> text, or plain data; fields of `LaunchOptions` are left out.
            context: what the values may refer to.
            shared: values for fields that are not given; see `parse_fields`.

        Raises:
            UsageError: a value is not valid, or contradicts another; about its attribute.
        """
        return cls(given["name"], given["models"], **parse_fields(given, context, shared, launch=False))

    def __post_init__(self) -> None:
        """Checks what can be checked without looking at the machine."""
        check_name(self.name, kind="server", attribute="name")
        names = [model.name for model in self.models]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise UsageError(
                    f"There are two models {name!r}.",
                    hint=f"Give one of them another name, for example {name}_2.",
                    about=("models", index, "name"),
                )
        ImageReference.parse(self.image, self.tag)  # which refuses what names no image
        check_platform(self.platform)
        if not self.models and self.image is None:
            raise UsageError(
                "There is no model to serve: neither a MODEL_DIR nor an --image with a model inside.",
                hint="Give one: tfserve run ./my_model, --config FILE, or tfserve run --image REPO:TAG",
            )
        if self.restart is not None and not re.fullmatch(_RESTART, self.restart):
            raise UsageError(
                f"{self.restart!r} is not a restart policy.",
                hint="Docker knows: no, always, unless-stopped, on-failure, on-failure:TIMES.",
                about=("restart",),
            )
        if self.remove and self.restart not in (None, "no"):
            raise UsageError(
                Wording("{remove} and {restart} contradict each other: what is removed cannot be restarted."),
                hint="Leave one of them out.",
                about=("remove",),
            )
        if self.cpus is not None and not 0.01 <= self.cpus <= 10_000:
            raise UsageError(
                f"{self.cpus:g} is not a number of CPUs.", hint="Give 0.01 or more, such as 1.5.", about=("cpus",)
            )
        for flag in self.server_flags:
            flag_name = flag[2:].partition("=")[0]
            attribute = _SAID_BY.get(flag_name)
            if attribute and getattr(self, attribute) is not None:
                raise UsageError(
                    Wording("{setter} sets the server flag --{flag}.", setter=Attribute(attribute), flag=flag_name),
                    hint="Leave one of the two out.",
                    about=("server_flags", flag_name),
                )
        requested = (self.rest_port.number, self.grpc_port.number)
        if requested[0] and requested[0] == requested[1]:
            raise UsageError(
                f"REST and gRPC cannot share port {requested[0]}.",
                hint=Wording("Give {rest_port} and {grpc_port} two numbers."),
                about=("grpc_port" if self.grpc_port.explicit else "rest_port",),
            )
        if requested == (None, None):
            raise UsageError(
                "With neither REST nor gRPC published nobody could ask the server.",
                hint=Wording("Give {rest_port} or {grpc_port} a number."),
                about=("grpc_port",),
            )
        self._check_gpu()

    def _check_gpu(self) -> None:
        options = self._gpu_options()
        if self.gpu is False and options:
            raise UsageError(
                Wording(
                    "{no_gpu} and {option} contradict each other.",
                    no_gpu=Attribute("gpu", False),
                    option=Attribute(options[0]),
                ),
                hint="Leave one of them out.",
                about=(self.gpu_attribute,),
            )
        fraction = self.gpu_memory_fraction
        if fraction is not None and not 0 < fraction <= 1:
            raise UsageError(
                f"{fraction:g} is not a share of a GPU's memory.",
                hint="Give more than 0 and at most 1, such as 0.3.",
                about=("gpu_memory_fraction",),
            )

    @property
    def wants_gpu(self) -> bool | None:
        """`gpu`, where an option that only makes sense with a GPU requires one."""
        return True if self._gpu_options() else self.gpu

    @property
    def gpu_attribute(self) -> str:
        """The attribute by which it asks for a GPU, or says that it does not."""
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
        """The models whose files are on this machine, or will be downloaded to it: all that are not in buckets."""
        return tuple(model for model in self.models if not model.is_remote)

    @property
    def fixed(self) -> bool:
        """Whether it needs no ``models.config``: for the newest version of one model, or for what is in its image."""
        one_by_one = [(model.versions, dict(model.labels)) for model in self.models]
        return self.config is None and one_by_one in ([], [(None, {})])

    def container_options(self) -> list[str]:
        """The options that were given and that only a container knows."""
        given = {
            "image": self.image,
            "tag": self.tag,
            "platform": self.platform,
            "memory": self.memory,
            "cpus": self.cpus,
            "restart": self.restart,
        }
        return [name for name, value in given.items() if value is not None]


@dataclass(frozen=True)
class LaunchOptions:
    """How to start a server, as opposed to what it is.

    Attributes:
        engine: which engine to run it on.
        pull: when to pull the image.
        wait_seconds: how long to wait until it is ready; 0 for not at all.
        smoke_test: whether to send it a predict request when it is ready; or that request, as JSON or the path of a
            file, in place of the smallest that the signature allows.
        replace: whether to take the place of a server of the same name.
        keep_failed: whether a server that did not become ready stays, for a look at it.
    """

    engine: EngineChoice = "auto"
    pull: PullPolicy = "missing"
    wait_seconds: float = WAIT_SECONDS
    smoke_test: bool | str = True
    replace: bool = False
    keep_failed: bool = False

    @classmethod
    def parse(cls, given: Mapping[str, Any], context: Context, shared: Mapping[str, Any] = _NOTHING) -> LaunchOptions:
        """Makes options of the fields as they were given; see `ServeSpec.parse`."""
        return cls(**parse_fields(given, context, shared, launch=True))

    def __post_init__(self) -> None:
        """Checks that no two servers would be left with one name."""
        if not self.wait_seconds >= 0:  # nan is neither more nor less
            raise UsageError(
                Wording("Expected 0 or more seconds for {wait_seconds}, found {given:g}.", given=self.wait_seconds),
                hint="Give 0 or more, such as 60.",
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
                    "{replace} and {keep_failed} contradict each other: when the new server fails, the old one takes "
                    "its name back."
                ),
                hint=Wording("Leave one of them out, or try the new server under another {name} first."),
            )

"""What was asked for: frozen dataclasses, and the rules by which text becomes one of them.

Nothing here looks at the machine. Whether the model exists or a port is free are facts, found elsewhere; `plan` brings
the two together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tfserve import defaults
from tfserve.defaults import WAIT_SECONDS, EngineChoice, PullPolicy
from tfserve.errors import Attribute, GpuError, UsageError, Wording
from tfserve.models.url import Url, check_digest
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.image import ImageReference
from tfserve.spec.server_configs import BatchingValue
from tfserve.spec.values import check_name, check_platform
from tfserve.spec.versions import VersionPolicy

__all__ = ["LaunchOptions", "ModelSpec", "PortRequest", "ServeSpec", "refuse_container_options"]

_RESTART = r"no|always|unless-stopped|on-failure(:\d+)?"
_SAID_BY = {
    "enable_batching": "batching",
    "batching_parameters_file": "batching",
    "monitoring_config_file": "monitoring",
    "per_process_gpu_memory_fraction": "gpu_memory_fraction",
}
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True)
class PortRequest:
    """A host port to publish on.

    Attributes:
        number: the port; 0 for any free one; None to publish nothing.
        explicit: whether somebody asked for this very port. A default may move when it is taken.
    """

    number: int | None
    explicit: bool = False

    @classmethod
    def parse(cls, text: str) -> PortRequest:
        """Reads ``8501``, ``0`` or ``none``.

        Raises:
            UsageError: `text` is none of these.
        """
        if text.strip().lower() == "none":
            return cls(None, explicit=True)
        if _PORT.fullmatch(text) and int(text) <= 65535:
            return cls(int(text), explicit=True)
        raise UsageError(
            f"{text!r} is not a port.", hint="Give a number from 1 to 65535, 0 for any free port, or none."
        )


@dataclass(frozen=True)
class ModelSpec:
    """A model to serve.

    Attributes:
        path: where it is: a directory or an archive of this machine, the address of an archive, or a base path in a
            bucket, of which nothing is known until a server has read it.
        name: the name that clients use for it.
        versions: which of its versions; None for the newest.
        labels: names for versions -> their numbers.
        sha256: the digest that the archive has to have; None for any, and for a directory.
    """

    path: Path | Url
    name: str
    versions: VersionPolicy | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    sha256: str | None = None

    def __post_init__(self) -> None:
        """Checks the name and the digest."""
        check_name(self.name, kind="model", attribute="model_name")
        if self.sha256 is not None:
            check_digest(self.sha256)
            if self.is_remote:
                raise UsageError(
                    "What is in a bucket is no archive, and has no digest.",
                    hint=Wording("Leave {sha256} out."),
                    about=("sha256",),
                )

    @property
    def is_remote(self) -> bool:
        """Whether the server itself reads the model from a bucket, so that this machine never has its files."""
        return isinstance(self.path, Url) and self.path.in_bucket


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
    rest_port: PortRequest = PortRequest(defaults.REST_PORT)
    grpc_port: PortRequest = PortRequest(defaults.GRPC_PORT)
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
        smoke_test: whether to ask it once when it is ready.
        smoke_request: the body of that predict request; None for the smallest the signature allows.
        replace: whether to take the place of a server of the same name.
        keep_failed: whether a server that did not become ready stays, for a look at it.
    """

    engine: EngineChoice = "auto"
    pull: PullPolicy = "missing"
    wait_seconds: float = WAIT_SECONDS
    smoke_test: bool = True
    smoke_request: bytes | None = None
    replace: bool = False
    keep_failed: bool = False

    def __post_init__(self) -> None:
        """Checks that no two servers would be left with one name."""
        if not self.wait_seconds >= 0:  # nan is neither more nor less
            raise UsageError(
                f"{self.wait_seconds:g} is not a number of seconds.",
                hint="Give 0 or more, such as 60.",
                about=("wait_seconds",),
            )
        if self.smoke_request is not None and not (self.smoke_test and self.wait_seconds):
            raise UsageError(
                "A server that is not waited for, or not tried, gets no request.",
                hint=Wording("Leave {smoke_test} out, or wait for the server and try it."),
                about=("smoke_request",),
            )
        if self.replace and self.keep_failed:
            raise UsageError(
                Wording(
                    "{replace} and {keep_failed} contradict each other: when the new server fails, the old one takes "
                    "its name back."
                ),
                hint=Wording("Leave one of them out, or try the new server under another {name} first."),
            )


def refuse_container_options(spec: ServeSpec) -> None:
    """Refuses what a plain process does not have.

    Raises:
        UsageError: `spec` asks for something that only a container has.
        GpuError: `spec` asks for a GPU.
    """
    if unusable := spec.container_options():
        raise UsageError(
            Wording(
                "The local engine runs a plain process, which has no {options}.", options=[*map(Attribute, unusable)]
            ),
            hint=Wording("Leave it out, or use {docker}.", docker=Attribute("engine", "docker")),
            about=(unusable[0],),
        )
    if spec.wants_gpu:
        raise GpuError(
            "The local engine serves on the CPU.",
            hint=Wording(
                "Use {docker} for a GPU, or leave {gpu} and the like out.", docker=Attribute("engine", "docker")
            ),
            doctor=False,
            about=(spec.gpu_attribute,),
        )

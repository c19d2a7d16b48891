"""Servers for programs: ``with tfserve.serve("./my_model") as server: server.predict([1, 2, 5])``."""

from __future__ import annotations

import os
import uuid
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tfserve.client.numpy_client import Client
from tfserve.client.rest import check_timeout
from tfserve.defaults import HOST, WAIT_SECONDS, Api, EngineChoice, PullPolicy
from tfserve.engines.base import Server
from tfserve.errors import UsageError
from tfserve.interrupts import interrupts_deferred
from tfserve.models.source import source_name
from tfserve.models.url import parse_source
from tfserve.progress import Progress, Silent
from tfserve.servers.launch import launch
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.image import ImageReference
from tfserve.spec.models_config import read_models_config
from tfserve.spec.serve import LaunchOptions, ModelSpec, PortRequest, ServeSpec
from tfserve.spec.server_configs import BatchingValue, parse_batching, parse_monitoring
from tfserve.spec.server_flags import parse_server_flags
from tfserve.spec.values import parse_environment, parse_host, parse_memory
from tfserve.spec.versions import VersionPolicy, parse_label

__all__ = ["RunningServer", "serve"]

Place = str | os.PathLike[str]


class RunningServer(Client):
    """A server that `serve` started, and a `Client` of its model, or of the first of several.

    It is removed at the end of the ``with`` block, by `close`, or at the latest when the program ends. A program that
    is killed leaves it behind: ``tfserve ps`` shows it, and ``tfserve rm --force`` removes it.

    Attributes:
        name: the server's name, by which ``tfserve logs NAME`` and the like find it.
        engine: what runs it: ``docker`` or ``local``.
        models: the names of its models.
        rest_url: where its REST API is; None when it is not published.
        grpc_address: where its gRPC API is, as ``host:port``; None when it is not published.
    """

    def __init__(self, server: Server, *, api: Api, timeout: float) -> None:
        super().__init__(str(server.address(api)), model=server.models[0], api=api, timeout=timeout)
        self.name = server.name
        self.engine = server.engine.name
        self.models = server.models
        self.rest_url = server.rest_url
        self.grpc_address = server.grpc_address
        self._server = server
        self._removal = weakref.finalize(self, _remove, server, os.getpid())

    def logs(self, *, tail: int | None = None) -> Iterator[str]:
        """Yields the lines of its log so far, or the last `tail` of them."""
        return self._server.logs(tail=tail)

    def close(self) -> None:
        """Stops the server, and removes it with its log. A second time it does nothing."""
        super().close()
        self._removal()

    def __repr__(self) -> str:
        state = "" if self._removal.alive else ", removed"
        return f"<tfserve server {self.name!r} ({self.engine}{state}): {self.rest_url or self.grpc_address}>"


def serve(
    model: Place | Sequence[Place] | Mapping[str, Place] | None = None,
    *,
    name: str | None = None,
    model_name: str | None = None,
    versions: str | None = None,
    labels: Mapping[str, int] | None = None,
    sha256: str | None = None,
    config: Place | None = None,
    engine: EngineChoice = "auto",
    gpu: bool | None = None,
    gpus: str | None = None,
    gpu_memory_fraction: float | None = None,
    gpu_memory_growth: bool = False,
    image: str | None = None,
    tag: str | None = None,
    platform: str | None = None,
    pull: PullPolicy = "missing",
    host: str = HOST,
    rest_port: int | None = 0,
    grpc_port: int | None = 0,
    environment: Mapping[str, str] | None = None,
    memory: int | str | None = None,
    cpus: float | None = None,
    restart: str | None = None,
    batching: Mapping[str, BatchingValue | Sequence[int]] | bool = False,
    monitoring: str | bool = False,
    server_flags: Sequence[str] = (),
    wait_seconds: float = WAIT_SECONDS,
    smoke_test: bool = True,
    replace: bool = False,
    api: Api = "rest",
    timeout: float = 60.0,
    progress: Progress | None = None,
) -> RunningServer:
    """Starts a server, and returns when it serves, as ``tfserve run`` does.

    >>> with tfserve.serve("examples/half_plus_two", engine="local") as server:
    ...     server.predict([1, 2, 5])
    array([2.5, 3. , 4.5], dtype=float32)

    By default it takes nothing that another server could want: its name is new, and its ports are free ones.

    Args:
        model: a directory of versions, one version, or a SavedModel; an archive of one, or its ``https://`` address; or
            a base path in a bucket (``s3://``, ``gs://``). Several of these, in a list or by their names; None for
            the models of `config`, or for those inside `image`.
        name: the server's name; None for the model's with something unique behind it.
        model_name: the only model's name; None for the directory's.
        versions: which versions of the only model: ``"latest"``, ``"latest=2"``, ``"all"``, or ``"1,3"``.
        labels: names for versions of the only model -> their numbers.
        sha256: the digest that the archive of the only model has to have; None for any.
        config: a ``models.config`` of your own, which names the models.
        engine: what runs it; ``auto`` takes Docker where there is one, else a local process.
        gpu: True to require a GPU, False to refuse one, None to take one when there is one.
        gpus: which GPUs: ``"all"``, a number of them, indices such as ``"0,2"`` or ``"device=0"``, or UUIDs.
        gpu_memory_fraction: the share of each GPU's memory that it takes at its start, above 0 and up to 1.
        gpu_memory_growth: whether it takes a GPU's memory bit by bit.
        image: the serving image; None for ``tensorflow/serving``.
        tag: the image's tag; None for the one in `image`, or ``latest``.
        platform: the image's platform, such as ``linux/amd64``; None for the engine's own.
        pull: when to pull the image.
        host: the address to publish on.
        rest_port: the host port of the REST API; 0 for any free one, None not to publish it.
        grpc_port: the same for the gRPC API.
        environment: variables of the server's process.
        memory: the most memory it may use, in bytes or as ``"2g"``.
        cpus: the most CPUs it may use.
        restart: Docker's restart policy.
        batching: whether requests are run together, or the ``BatchingParameters`` by which they are.
        monitoring: whether there is a page of Prometheus metrics, or its URL path.
        server_flags: flags for ``tensorflow_model_server``, as ``--name=value``.
        wait_seconds: how long to wait until it is ready.
        smoke_test: whether to ask it once when it is ready.
        replace: whether to take the place of a server of the same name.
        api: which API the server's own client asks.
        timeout: how long its requests may take at most, in seconds.
        progress: is told what goes on; None for nobody.

    Raises:
        TfserveError: a subclass in `tfserve.errors` for each way to fail; no server is left.
    """
    check_timeout(timeout)
    if (rest_port if api == "rest" else grpc_port) is None:
        raise UsageError(f"A server that does not publish {api} cannot be asked over it.", hint="Choose the other api.")
    if model is not None and config is not None:
        raise UsageError("config names the models, and excludes model.", hint="Leave one of them out.")
    if config is not None:
        models = read_models_config(Path(config))
    else:
        models = _models(model, model_name, versions, labels or {}, sha256)
    served_name = models[0].name if models else ImageReference.parse(image).default_name
    spec = ServeSpec(
        name=f"{served_name[:100]}-{uuid.uuid4().hex[:8]}" if name is None else name,
        models=models,
        config=None if config is None else Path(config).absolute(),
        image=image,
        tag=tag,
        platform=platform,
        host=parse_host(host),
        rest_port=PortRequest.parse("none" if rest_port is None else str(rest_port)),
        grpc_port=PortRequest.parse("none" if grpc_port is None else str(grpc_port)),
        environment=parse_environment([f"{name}={value}" for name, value in (environment or {}).items()], {}),
        memory=None if memory is None else parse_memory(str(memory)),
        cpus=cpus,
        restart=restart,
        gpu=gpu,
        gpus=None if gpus is None else GpuRequest.parse(gpus),
        gpu_memory_fraction=gpu_memory_fraction,
        gpu_memory_growth=gpu_memory_growth,
        batching=_batching(batching),
        monitoring=parse_monitoring("on" if monitoring is True else monitoring) if monitoring else None,
        server_flags=parse_server_flags(server_flags, Path()),
    )
    options = LaunchOptions(engine=engine, pull=pull, wait_seconds=wait_seconds, smoke_test=smoke_test, replace=replace)
    launched = launch(spec, options, progress or Silent())
    try:
        return RunningServer(launched.server, api=api, timeout=timeout)
    except BaseException:
        _remove(launched.server, os.getpid())
        raise


def _models(
    places: Place | Sequence[Place] | Mapping[str, Place] | None,
    name: str | None,
    versions: str | None,
    labels: Mapping[str, int],
    sha256: str | None,
) -> tuple[ModelSpec, ...]:
    if isinstance(places, Mapping):
        named: list[tuple[str | None, Place]] = list(places.items())
    else:
        named = [(name, place) for place in ([places] if isinstance(places, str | os.PathLike) else places or ())]
    sources = [(given, parse_source(os.fspath(place))) for given, place in named]
    if len(sources) != 1 and (name is not None or versions is not None or labels or sha256 is not None):
        raise UsageError(
            "model_name, versions, labels and sha256 are for one model.",
            hint="Name several models as {NAME: PATH}; for the rest write a models.config, and give it as config.",
        )
    policy = None if versions is None else VersionPolicy.parse(versions)
    for label, version in labels.items():
        parse_label(f"{label}={version}")
    return tuple(
        ModelSpec(source, source_name(source) if given is None else given, policy, dict(labels), sha256)
        for given, source in sources
    )


def _batching(given: Mapping[str, BatchingValue | Sequence[int]] | bool) -> dict[str, BatchingValue] | None:
    if isinstance(given, bool):
        return {} if given else None
    return parse_batching(f"{name}={_text(value)}" for name, value in given.items())


def _text(value: BatchingValue | Sequence[int]) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int) else ",".join(map(str, value))


def _remove(server: Server, process: int) -> None:
    """Removes a server, if this is the process that started it and not a fork of it, and the name is still its own."""
    if os.getpid() != process:
        return
    with interrupts_deferred():
        found = server.engine.find(server.name)
        if found is not None and found.created == server.created:
            found.remove()

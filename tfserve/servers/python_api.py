"""Servers in Python programs: ``with tfserve.serve("./my_model") as server: server.predict([1, 2, 5])``."""

from __future__ import annotations

import inspect
import os
import uuid
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from tfserve.client.numpy_client import Client
from tfserve.client.rest import check_timeout
from tfserve.defaults import Api
from tfserve.engines.base import Server
from tfserve.errors import Attribute, UsageError, Wording
from tfserve.interrupts import interrupts_deferred
from tfserve.progress import Progress, Silent
from tfserve.servers.launch import launch
from tfserve.spec.field_parsers import Context, MismatchError, parse_file, parse_text
from tfserve.spec.fields import FIELDS
from tfserve.spec.image import ImageReference
from tfserve.spec.model import ModelSpec
from tfserve.spec.models_config import read_models_config
from tfserve.spec.serve import LaunchOptions, ServeSpec
from tfserve.text import nearest

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from tfserve.servers.serve_options import ServeOptions

__all__ = ["RunningServer", "serve"]

ModelPath = str | os.PathLike[str]

_PORTS = {"rest_port": 0, "grpc_port": 0}  # any free ports
_MODEL_ARGUMENTS = {"path": "model", "name": "model_name"} | {key: key for key in ("versions", "labels", "sha256")}


class RunningServer(Client):
    """A server that `serve` started, and a `Client` of its model, or of the first of several models.

    The server is removed at the end of the ``with`` block, by `close`, or at the latest when the program exits. If the
    program is killed, the server keeps running: ``tfserve ps`` lists it, and ``tfserve rm --force`` removes it.

    Attributes:
        name: the server's name, for commands such as ``tfserve logs NAME``.
        engine: the name of the engine that runs it.
        models: the names of its models.
        rest_url: the URL of its REST API; None if it is not published.
        grpc_address: the address of its gRPC API, as ``host:port``; None if it is not published.
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
        """Yields the lines of the server's log so far, or the last `tail` lines."""
        return self._server.logs(tail=tail)

    def close(self) -> None:
        """Stops the server, and removes it and its log. Further calls do nothing."""
        super().close()
        self._removal()

    def __repr__(self) -> str:
        state = "" if self._removal.alive else ", removed"
        return f"<tfserve server {self.name!r} ({self.engine}{state}): {self.rest_url or self.grpc_address}>"


def serve(
    model: ModelPath | Sequence[ModelPath] | Mapping[str, ModelPath] | None = None,
    *,
    name: str | None = None,
    model_name: str | None = None,
    versions: str | Sequence[int] | None = None,
    labels: Mapping[str, int] | None = None,
    sha256: str | None = None,
    api: Api = "rest",
    timeout: float = 60.0,
    progress: Progress | None = None,
    **options: Unpack[ServeOptions],
) -> RunningServer:
    """Starts a server like ``tfserve run``, and returns when it is ready.

    >>> with tfserve.serve("examples/half_plus_two", engine="local") as server:
    ...     server.predict([1, 2, 5])
    array([2.5, 3. , 4.5], dtype=float32)

    By default the server gets a unique name and free ports.

    Raises:
        TfserveError: a subclass in `tfserve.errors` for each kind of failure; the server is removed.

    Args:
        model: a directory of versions, one version, or a SavedModel; an archive of one, or its ``https://`` address; or
            a base path in a bucket (``s3://``, ``gs://``). Several models are a list, or a mapping from their names;
            None for the models in `config`, or for those inside `image`.
        name: the server's name; None for the model's name with a unique suffix.
        model_name: the name of the only model; None for the name of its directory.
        versions: the versions of the only model to serve: ``"latest"``, ``"latest=2"``, ``"all"``, ``"1,3"``, or a list
            of numbers.
        labels: labels of versions of the only model -> the numbers of the versions.
        sha256: the expected digest of the archive of the only model; None to accept any.
        api: the API that the methods of the returned server use.
        timeout: the time limit of a request, in seconds.
        progress: receives notices and the progress of downloads and pulls; None to show nothing.
        options: the arguments that follow; None for the default, except for ports, which None does not publish.
    """
    check_timeout(timeout)
    if api not in get_args(Api):
        raise UsageError(f"api={api!r} is not an API.", hint="Use api='rest' or api='grpc'.")
    if options.get(f"{api}_port", 0) is None:
        raise UsageError(
            Wording(
                "{api} needs {port}, which is not published.", api=Attribute("api", api), port=Attribute(f"{api}_port")
            ),
            hint="Publish the port, or use the other API.",
        )
    given = _given(options)
    models = _models(
        model, given.get("config"), {"name": model_name, "versions": versions, "labels": labels, "sha256": sha256}
    )
    served_name = models[0].name if models else ImageReference.parse(given.get("image")).default_name
    unique = f"{served_name[:100]}-{uuid.uuid4().hex[:8]}"
    server_name = unique if name is None else parse_text(name, Context(), "text for name=")
    spec = ServeSpec.parse({**given, "name": server_name, "models": models}, Context())
    launch_options = LaunchOptions.parse(given, Context())
    launched = launch(spec, launch_options, progress or Silent(), suggest_keep_failed=False)
    try:
        return RunningServer(launched.server, api=api, timeout=timeout)
    except BaseException:
        _remove(launched.server, os.getpid())
        raise


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields that the caller set, and the defaults of `serve`."""
    known = [field.attribute for field in _FIELDS]
    for name in options:
        if name not in known:
            parameter = _BY_OPTION.get(name) or nearest(name, known)
            hint = f" Did you mean {parameter}?" if parameter else ""
            raise TypeError(f"serve() has no parameter {name!r}.{hint}")
    given: dict[str, Any] = dict(_PORTS)
    for name, value in options.items():
        if value is not None:
            given[name] = value
        elif name in given:
            given[name] = "none"
    return given


def _models(
    given: ModelPath | Sequence[ModelPath] | Mapping[str, ModelPath] | None,
    config: ModelPath | None,
    only: Mapping[str, object],
) -> tuple[ModelSpec, ...]:
    """Returns the models to serve; `only` contains fields that require a single model."""
    if config is not None:
        if given is not None:
            raise UsageError(
                "model= and config= cannot be combined: the file lists the models.",
                hint="Leave one of them out.",
            )
        return read_models_config(parse_file(config, Context()))
    if not isinstance(given, str | os.PathLike | Mapping | Sequence | None) or isinstance(given, bytes):
        raise MismatchError("a path, a list of paths, or a mapping of names to paths for model=", given)
    if isinstance(given, Mapping):
        entries: list[dict[str, object]] = [{"path": path, "name": name} for name, path in given.items()]
    else:
        paths = [given] if isinstance(given, str | os.PathLike) else given or ()
        entries = [{"path": path} for path in paths]
    fields = {key: value for key, value in only.items() if value is not None}
    if fields and len(entries) != 1:
        raise UsageError(
            Wording(
                "{fields} can only be used with a single model.",
                fields=[Attribute(_MODEL_ARGUMENTS.get(key, key)) for key in fields],
            ),
            hint=Wording(
                "Name several models with {{NAME: PATH}}; for anything else use {config} with a models.config."
            ),
        )
    try:
        return tuple(ModelSpec.parse({**entry, **fields}, Context()) for entry in entries)
    except MismatchError as error:
        error.name(_MODEL_ARGUMENTS.get(str(error.about[0]), "model") if error.about else "model")
        raise


def _remove(server: Server, process: int) -> None:
    """Removes a server if this process started it, rather than a fork, and no other server has its name."""
    if os.getpid() != process:
        return
    with interrupts_deferred():
        found = server.engine.find(server.name)
        if found is not None and found.created == server.created:
            found.remove()


def _describe_options() -> None:
    """Adds the fields of a server to the signature and the docstring of `serve`, for help() and editors."""
    signature = inspect.signature(serve)
    parameters = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    parameters += [
        inspect.Parameter(
            field.attribute,
            inspect.Parameter.KEYWORD_ONLY,
            default=_PORTS.get(field.attribute),
            annotation=f"{field.type.python} | None",
        )
        for field in _FIELDS
    ]
    serve.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    lines = (f"        {field.attribute}: {_uncapitalized(field.help)}\n" for field in _FIELDS)
    serve.__doc__ = f"{(serve.__doc__ or '').rstrip()}\n{''.join(lines)}    "


def _uncapitalized(text: str) -> str:
    """Returns `text` without its capital letter at the beginning, unless the first word is an abbreviation."""
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


_FIELDS = [field for field in FIELDS if field.python]
_BY_OPTION = {field.option_name.strip("-").replace("-", "_"): field.attribute for field in _FIELDS} | {
    "label": "labels"
}
_describe_options()

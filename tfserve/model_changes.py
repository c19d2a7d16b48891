"""Changes what a running server serves: models, versions and labels, without a restart.

The server is told by its own reload, which loads what is new before it unloads what is old. What was changed is kept in
the server's ``models.config``, so that it starts with that the next time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from tfserve.engines.base import Engine, Server
from tfserve.errors import NotReadyError, RequestError, TfserveError, UsageError
from tfserve.interrupts import held
from tfserve.model_source import find_source
from tfserve.model_states import version_statuses
from tfserve.models_config import NEWEST, ServedModel, served_models, to_message, to_text
from tfserve.nearest import did_you_mean
from tfserve.progress import Progress
from tfserve.saved_model import ModelVersion, check_version, find_model
from tfserve.version_policy import VersionPolicy, check_labels

if TYPE_CHECKING:
    from tfserve.spec import ModelSpec

__all__ = ["add", "label", "pin", "remove", "rollback"]

_POLL_SECONDS = 0.05

Models = tuple[ServedModel, ...]


def add(engine: Engine, server: Server, specs: Sequence[ModelSpec], *, seconds: float, progress: Progress) -> None:
    """Serves more models.

    Raises:
        SavedModelError: one cannot be served.
        UsageError: the server serves one of that name already, or cannot be changed; or one is in a bucket.
        RequestError: the server did not take them over; it serves what it did.
    """
    models = _changeable(engine, server)
    for spec in specs:
        if spec.in_bucket:
            raise UsageError(
                f"{spec.path} is in a bucket, and a server that runs gets no credentials any more.",
                hint=f"Make it anew with that model too: tfserve run … --name {server.name} --replace",
            )
    directories = [find_source(spec.path, sha256=spec.sha256, progress=progress) for spec in specs]
    added = []
    for spec, directory in zip(specs, directories, strict=True):
        if any(model.name == spec.name for model in models):
            raise UsageError(
                f"{server.name!r} serves a model {spec.name!r} already.", hint=f"Name it otherwise: PATH={spec.name}_2"
            )
        versions = spec.versions or NEWEST
        served = versions.served([version.number for version in directory.versions])
        check_labels(spec.name, spec.labels, served)
        for version in directory.versions:
            if version.number in served:
                check_version(version)
        added.append(ServedModel(spec.name, "", versions, spec.labels))
    with held():
        seen = [
            replace(model, base_path=engine.bring_model(server, model.name, directory))
            for model, directory in zip(added, directories, strict=True)
        ]
    _put_in_force(engine, server, models, (*models, *seen), seconds)


def remove(engine: Engine, server: Server, names: Sequence[str], *, seconds: float) -> None:
    """Serves some models no longer.

    Raises:
        UsageError: there is no such model, or none would be left.
        RequestError: the server did not take it over.
    """
    models = _changeable(engine, server)
    gone = {_find(models, name).name for name in names}
    left = tuple(model for model in models if model.name not in gone)
    if not left:
        raise UsageError(
            f"{server.name!r} would serve nothing any more.", hint=f"End it instead: tfserve stop {server.name}"
        )
    _put_in_force(engine, server, models, left, seconds)


def label(
    engine: Engine, server: Server, name: str | None, labels: Mapping[str, int | None], *, seconds: float
) -> None:
    """Gives versions labels, moves labels, and takes them away (None).

    Raises:
        UsageError: a version is not AVAILABLE, so that requests by the label would fail.
        RequestError: the server did not take it over.
    """
    models = _changeable(engine, server)
    model = _find(models, name)
    wanted = {label: version for label, version in labels.items() if version is not None}
    check_labels(model.name, wanted, _available(server, model))
    kept = {label: version for label, version in model.labels.items() if label not in labels}
    _put_in_force(engine, server, models, _with(models, replace(model, labels={**kept, **wanted})), seconds)


def pin(engine: Engine, server: Server, name: str | None, versions: VersionPolicy, *, seconds: float) -> None:
    """Serves other versions of a model, and returns when they are AVAILABLE.

    Raises:
        UsageError: there is no such version, or a label is for one that would go.
        NotReadyError: a version cannot be loaded; what was served before still is.
        RequestError: the server did not take it over.
    """
    models = _changeable(engine, server)
    model = _find(models, name)
    for version in versions.specific:
        if not _has(engine, server, model, version):
            raise UsageError(
                f"There is no version {version} of the model {model.name!r}.",
                hint=f"tfserve models {server.name} lists those that the server knows.",
            )
    if versions.specific:
        check_labels(model.name, model.labels, versions.specific)
    _put_in_force(engine, server, models, _with(models, replace(model, versions=versions)), seconds)


def rollback(engine: Engine, server: Server, name: str | None, *, seconds: float) -> int:
    """Pins a model to the version before the newest that is AVAILABLE, and returns its number.

    Raises:
        UsageError: there is no version before it.
        NotReadyError: it cannot be loaded.
        RequestError: the server did not take it over.
    """
    model = _find(_changeable(engine, server), name)
    newest = max(_available(server, model), default=0)
    older = {status.version for status in version_statuses(server, model.name) if status.version < newest}
    for spec in server.spec.get("models", ()):
        if isinstance(spec, dict) and spec.get("name") == model.name:
            older.update(version.number for version in _versions_of(spec.get("path")) if version.number < newest)
    there = [version for version in sorted(older) if _has(engine, server, model, version)]
    if not there:
        raise UsageError(
            f"There is no version of the model {model.name!r} before version {newest}.",
            hint=f"tfserve models {server.name} lists those that the server knows.",
        )
    pin(engine, server, model.name, VersionPolicy(1, (there[-1],)), seconds=seconds)
    return there[-1]


def _changeable(engine: Engine, server: Server) -> Models:
    """The models of a server that can be told to serve others.

    Raises:
        UsageError: it cannot.
    """
    if not server.running:
        raise UsageError(f"{server.name!r} is stopped.", hint=f"Start it: tfserve start {server.name}")
    if own := server.spec.get("config"):
        raise UsageError(
            f"{server.name!r} serves what your own {str(own)!r} says, which tfserve never rewrites.",
            hint=f"Change that file, then: tfserve restart {server.name}",
        )
    config = engine.models_config(server)
    if config is None and not server.spec.get("models"):
        raise UsageError(
            f"{server.name!r} serves what is inside its image, and stays at that.",
            hint="Put the models of another image in its place: tfserve package MODEL_DIR --image REPO:TAG",
        )
    if config is None:
        raise UsageError(
            f"{server.name!r} was started for the newest version of one model, and stays at that.",
            hint="Start it so that it can change: tfserve run MODEL_DIR --versions latest --replace",
        )
    if server.grpc_address is None:
        raise UsageError(
            f"{server.name!r} publishes no gRPC API, by which it would be told of other models.",
            hint="Start it without --grpc-port none.",
        )
    return served_models(config)


def _put_in_force(engine: Engine, server: Server, old: Models, new: Models, seconds: float) -> None:
    """Has the server take over `new`, and keeps it; when it is refused, or fails, `old` stays."""
    from tfserve.client.model_service import reload_config

    address = str(server.address("grpc"))
    watch = _LoadWatch(engine, server)
    try:
        reload_config(address, to_message(new), timeout=seconds, watch=watch)
        before = {model.name: model.versions for model in old}
        for model in new:
            if before.get(model.name, model.versions) != model.versions:
                _wait_for(server, model.name, model.versions.specific, seconds, watch)
    except (TfserveError, KeyboardInterrupt):
        with held(), suppress(RequestError):  # of what it refuses, the official server may have kept a part
            reload_config(address, to_message(old), timeout=seconds)
        raise
    engine.keep_models(server, to_text(new), [model.name for model in new])


class _LoadWatch:
    """Raises NotReadyError when the log says, from now on, that a version cannot be loaded.

    The status does not tell: the server goes on trying for minutes.
    """

    def __init__(self, engine: Engine, server: Server) -> None:
        self._engine = engine
        self._server = server
        self._since = datetime.now(timezone.utc)

    def __call__(self) -> None:
        from tfserve.diagnosis import load_failure

        failure = load_failure(self._engine.logs(self._server, since=self._since))
        if failure is not None:
            raise NotReadyError(failure, hint="What the server served before it still serves.")


def _find(models: Models, name: str | None) -> ServedModel:
    names = [model.name for model in models]
    if name is None and len(models) == 1:
        return models[0]
    if name is None:
        raise UsageError(f"There are several models: {', '.join(names)}.", hint="Name one of them.")
    for model in models:
        if model.name == name:
            return model
    hint = did_you_mean(name, names) or f"There are: {', '.join(names)}."
    raise UsageError(f"The server has no model {name!r}.", hint=hint)


def _with(models: Models, changed: ServedModel) -> Models:
    return tuple(changed if model.name == changed.name else model for model in models)


def _has(engine: Engine, server: Server, model: ServedModel, version: int) -> bool:
    """Whether a server has the files of a version; what is in a bucket, only its loading tells."""
    return "://" in model.base_path or engine.sees(server, f"{model.base_path}/{version}")


def _versions_of(path: object) -> tuple[ModelVersion, ...]:
    """The versions under a path of the host, which may have been another host's."""
    from pathlib import Path

    with suppress(TfserveError):
        return find_model(Path(str(path))).versions
    return ()


def _available(server: Server, model: ServedModel) -> list[int]:
    return sorted(s.version for s in version_statuses(server, model.name) if s.state == "AVAILABLE")


def _wait_for(server: Server, name: str, versions: Sequence[int], seconds: float, watch: Callable[[], None]) -> None:
    """Returns when of a model exactly these versions are AVAILABLE; at once where that cannot be seen.

    Raises:
        NotReadyError: one cannot be loaded, or it takes too long.
    """
    deadline = time.monotonic() + seconds
    while versions and server.rest_url is not None:
        statuses = version_statuses(server, name)
        if {s.version for s in statuses if s.state in ("AVAILABLE", "UNLOADING")} == set(versions):
            return
        if time.monotonic() > deadline:
            raise NotReadyError(
                f"The versions {', '.join(map(str, versions))} of the model {name!r} were not AVAILABLE after "
                f"{seconds:g} s.",
                hint="A large model takes longer to load: --wait SECONDS. What was served before still is.",
            )
        time.sleep(_POLL_SECONDS)
        watch()

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

from tfserve.engines.base import Server
from tfserve.errors import NoSuchServerError, NotReadyError, RequestError, TfserveError, UsageError
from tfserve.interrupts import interrupts_deferred
from tfserve.models.saved_model import check_version
from tfserve.models.source import find_source
from tfserve.progress import Progress
from tfserve.servers.status import is_loading, version_statuses
from tfserve.spec.models_config import NEWEST, ServedModel, served_models, to_message, to_text
from tfserve.spec.server_flags import model_tags
from tfserve.spec.versions import VersionPolicy, check_labels, check_versions
from tfserve.text import did_you_mean

if TYPE_CHECKING:
    from tfserve.spec.model import ModelSpec

__all__ = ["add", "label", "pin", "remove", "rollback"]

_POLL_SECONDS = 0.05

Models = tuple[ServedModel, ...]


def add(server: Server, specs: Sequence[ModelSpec], *, seconds: float, progress: Progress) -> None:
    """Serves more models.

    Raises:
        SavedModelError: one cannot be served.
        UsageError: the server serves one of that name already, or cannot be changed; or one is in a bucket.
        RequestError: the server did not take them over; it serves what it did.
    """
    models = _changeable(server)
    for spec in specs:
        if spec.is_remote:
            raise UsageError(
                f"{spec.path} is in a bucket, and a server that runs gets no credentials any more.",
                hint=f"Make it anew with that model too: tfserve run … --name {server.name} --replace",
            )
    directories = [find_source(spec.path, sha256=spec.sha256, progress=progress) for spec in specs]
    tags = model_tags(server.spec.server_flags if server.spec else ())
    added = []
    for spec, directory in zip(specs, directories, strict=True):
        if any(model.name == spec.name for model in models):
            raise UsageError(
                f"{server.name!r} serves a model {spec.name!r} already.", hint=f"Name it otherwise: PATH={spec.name}_2"
            )
        model = ServedModel(spec.name, "", spec.versions or NEWEST, spec.labels)
        there = [version.number for version in directory.versions]
        served = check_versions(model.name, model.versions, model.labels, there)
        for version in directory.versions:
            if version.number in served:
                check_version(version, tags=tags)
        added.append(model)
    if server.engine.copies_models:
        progress.notice(
            "The model was copied into the running container; new versions will not be picked up automatically."
        )
    with interrupts_deferred():
        seen = [
            replace(model, base_path=server.bring_model(model.name, directory))
            for model, directory in zip(added, directories, strict=True)
        ]
    _put_in_force(server, models, (*models, *seen), seconds)


def remove(server: Server, names: Sequence[str], *, seconds: float) -> None:
    """Serves some models no longer.

    Raises:
        UsageError: there is no such model, or none would be left.
        RequestError: the server did not take it over.
    """
    models = _changeable(server)
    gone = {_find(models, name).name for name in names}
    left = tuple(model for model in models if model.name not in gone)
    if not left:
        raise UsageError(
            f"{server.name!r} would serve nothing any more.", hint=f"End it instead: tfserve stop {server.name}"
        )
    _put_in_force(server, models, left, seconds)


def label(server: Server, name: str | None, labels: Mapping[str, int | None], *, seconds: float) -> None:
    """Gives versions labels, moves labels, and takes them away (None).

    Raises:
        UsageError: a version is not AVAILABLE, so that requests by the label would fail; or there is no label to go.
        RequestError: the server did not take it over.
    """
    models = _changeable(server)
    model = _find(models, name)
    for unknown in (label for label, version in labels.items() if version is None and label not in model.labels):
        raise UsageError(
            f"The model {model.name!r} has no label {unknown!r}.",
            hint=did_you_mean(unknown, model.labels) or f"It has: {', '.join(model.labels) or 'none'}.",
        )
    wanted = {label: version for label, version in labels.items() if version is not None}
    check_labels(model.name, wanted, _available(server, model))
    kept = {label: version for label, version in model.labels.items() if label not in labels}
    _put_in_force(server, models, _with(models, replace(model, labels={**kept, **wanted})), seconds)


def pin(server: Server, name: str | None, versions: VersionPolicy, *, seconds: float) -> None:
    """Serves other versions of a model, and returns when they are AVAILABLE.

    Raises:
        UsageError: there is no such version, or a label is for one that would go.
        NotReadyError: a version cannot be loaded; what was served before still is.
        RequestError: the server did not take it over.
    """
    models = _changeable(server)
    pinned = replace(_find(models, name), versions=versions)
    if (there := _versions_of(server, pinned)) is not None:
        check_versions(pinned.name, pinned.versions, pinned.labels, there)
    _put_in_force(server, models, _with(models, pinned), seconds)


def rollback(server: Server, name: str | None, *, seconds: float) -> int:
    """Pins a model to the version before the newest that is AVAILABLE, and returns its number.

    Raises:
        UsageError: there is no version before it.
        NotReadyError: it cannot be loaded.
        RequestError: the server did not take it over.
    """
    model = _find(_changeable(server), name)
    newest = max(_available(server, model), default=0)
    there = _versions_of(server, model)
    known = [status.version for status in version_statuses(server, model.name)] if there is None else there
    older = [version for version in known if version < newest]
    if not older:
        raise UsageError(
            f"There is no version of the model {model.name!r} before version {newest}.",
            hint=f"Its versions are: {', '.join(map(str, known))}. To serve one of them: "
            f"tfserve models {server.name} pin {model.name} VERSION",
        )
    pin(server, model.name, VersionPolicy(1, (max(older),)), seconds=seconds)
    return max(older)


def _changeable(server: Server) -> Models:
    """The models of a server that can be told to serve others.

    Raises:
        UsageError: it cannot.
    """
    if not server.running:
        raise NoSuchServerError(f"{server.name!r} is stopped.", hint=f"Start it: tfserve start {server.name}")
    if server.spec is not None and (own := server.spec.config):
        raise UsageError(
            f"{server.name!r} serves what your own {str(own)!r} says, which tfserve never rewrites.",
            hint=f"Change that file, then: tfserve restart {server.name}",
        )
    config = server.models_config()
    if config is None and not (server.spec and server.spec.models):
        raise UsageError(
            f"{server.name!r} serves what is inside its image, and stays at that.",
            hint="Put the models of another image in its place: tfserve package MODEL_DIR --image REPO:TAG",
        )
    if config is None:
        raise UsageError(
            f"{server.name!r} was started for the newest version of one model, and stays at that.",
            hint="Start it so that it can change: with --versions latest, or versions: latest in tfserve.yaml.",
        )
    if server.grpc_address is None:
        raise UsageError(
            f"{server.name!r} publishes no gRPC API, by which it would be told of other models.",
            hint="Start it without --grpc-port none.",
        )
    return served_models(config)


def _put_in_force(server: Server, old: Models, new: Models, seconds: float) -> None:
    """Has the server take over `new`, and keeps it; when it is refused, or fails, `old` stays."""
    from tfserve.client.reload import reload_config

    address = str(server.address("grpc"))
    watch = _LoadWatch(server)
    try:
        reload_config(address, to_message(new), timeout=seconds, watch=watch)
        before = {model.name: (model.base_path, model.versions) for model in old}
        for model in new:
            if before.get(model.name) != (model.base_path, model.versions):
                _wait_for(server, model.name, _versions_to_come(server, model), seconds, watch)
    except (TfserveError, KeyboardInterrupt):
        with (
            interrupts_deferred(),
            suppress(RequestError),
        ):  # the official server may have kept a part
            reload_config(address, to_message(old), timeout=seconds)
        raise
    server.keep_models(to_text(new), [model.name for model in new])


class _LoadWatch:
    """Raises NotReadyError when the log says, from now on, that a version cannot be loaded.

    The status does not tell: the server goes on trying for minutes.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._since = datetime.now(timezone.utc)

    def __call__(self) -> None:
        from tfserve.engines.server_log import load_failure

        failure = load_failure(self._server.logs(since=self._since))
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


def _versions_of(server: Server, model: ServedModel) -> tuple[int, ...] | None:
    """The versions of a model that a server could load; None for what is in a bucket, where only loading tells."""
    return None if "://" in model.base_path else server.versions(model.base_path)


def _versions_to_come(server: Server, model: ServedModel) -> Sequence[int]:
    """The versions that a server will have loaded in the end, as far as that can be known."""
    there = _versions_of(server, model)
    return model.versions.specific if there is None else model.versions.served(there)


def _available(server: Server, model: ServedModel) -> list[int]:
    return sorted(s.version for s in version_statuses(server, model.name) if s.state == "AVAILABLE")


def _wait_for(server: Server, name: str, versions: Sequence[int], seconds: float, watch: Callable[[], None]) -> None:
    """Returns when of a model exactly these versions are AVAILABLE.

    Of what is in a bucket it is not known which; then it returns when no version is on its way.

    Raises:
        NotReadyError: one cannot be loaded, or it takes too long.
    """
    deadline = time.monotonic() + seconds
    while True:
        states = {status.version: status.state for status in version_statuses(server, name)}
        loaded = {version for version, state in states.items() if state in ("AVAILABLE", "UNLOADING")}
        if loaded == set(versions) or (not versions and loaded and not is_loading(states.values())):
            return
        if time.monotonic() > deadline:
            raise NotReadyError(
                f"The versions {', '.join(map(str, versions))} of the model {name!r} were not all AVAILABLE after "
                f"{seconds:g} s.",
                hint="A large model takes longer to load: --wait SECONDS. What was served before still is.",
            )
        time.sleep(_POLL_SECONDS)
        watch()

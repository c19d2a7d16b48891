"""Changes what a running server serves: models, versions and labels, without a restart.

The server applies a new configuration itself: it loads new models before it unloads old ones. The change is saved in
its ``models.config``, so that it is still in effect after the next start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from tfserve.engines.base import Server
from tfserve.errors import Attribute, NotReadyError, RequestError, TfserveError, UsageError, Wording
from tfserve.interrupts import interrupts_deferred
from tfserve.models.origin import report_origins
from tfserve.models.saved_model import check_version
from tfserve.models.source import find_source
from tfserve.progress import Progress
from tfserve.servers.lookup import check_running
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
    """Adds models to a server.

    Raises:
        SavedModelError: a model cannot be served.
        UsageError: the server already has a model of that name, or cannot be changed; or a model is in a bucket.
        RequestError: the server rejected the change; its models are unaffected.
    """
    models = _changeable(server)
    for spec in specs:
        if spec.is_remote:
            raise UsageError(
                f"{spec.path} is in a bucket, and a running server cannot be given credentials.",
                hint=f"Replace the server with one that serves that model: "
                f"tfserve run … --name {server.name} --replace",
            )
    directories = [find_source(spec.path, sha256=spec.sha256, progress=progress) for spec in specs]
    tags = model_tags(server.spec.server_flags if server.spec else ())
    added = []
    for spec, directory in zip(specs, directories, strict=True):
        if any(model.name == spec.name for model in models):
            raise UsageError(
                f"{server.name!r} already has a model {spec.name!r}.", hint=f"Choose another name: PATH={spec.name}_2"
            )
        model = ServedModel(spec.name, "", spec.versions or NEWEST, spec.labels)
        there = [version.number for version in directory.versions]
        served = check_versions(model.name, model.versions, model.labels, there)
        for version in directory.versions:
            if version.number in served:
                check_version(version, tags=tags)
        added.append(model)
    report_origins(((spec.name, spec.path) for spec in specs), directories, progress)
    names = [model.name for model in added]
    with interrupts_deferred():
        visible = [server.add_model(*pair) for pair in zip(names, directories, strict=True)]
    if copies := [name for name, there in zip(names, visible, strict=True) if there.copied]:
        progress.notice(
            f"Copied into the running server: {', '.join(copies)}. New versions will not be picked up automatically."
        )
    seen = [replace(model, base_path=there.base_path) for model, there in zip(added, visible, strict=True)]
    _apply(server, models, (*models, *seen), seconds)


def remove(server: Server, names: Sequence[str], *, seconds: float) -> None:
    """Removes models from a server.

    Raises:
        UsageError: there is no such model, or none would be left.
        RequestError: the server rejected the change.
    """
    models = _changeable(server)
    gone = {_find(models, name).name for name in names}
    left = tuple(model for model in models if model.name not in gone)
    if not left:
        raise UsageError(f"{server.name!r} would have no models.", hint=f"Stop it instead: tfserve stop {server.name}")
    _apply(server, models, left, seconds)


def label(server: Server, name: str | None, labels: Mapping[str, int | None], *, seconds: float) -> None:
    """Adds labels to versions, moves labels, and removes them (None).

    Raises:
        UsageError: a version is not AVAILABLE, so that requests with the label would fail; or a label to be removed
            does not exist.
        RequestError: the server rejected the change.
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
    _apply(server, models, _with(models, replace(model, labels={**kept, **wanted})), seconds)


def pin(server: Server, name: str | None, versions: VersionPolicy, *, seconds: float) -> None:
    """Changes which versions of a model are served, and returns when they are AVAILABLE.

    Raises:
        UsageError: there is no such version, or a label is for a version that would be unloaded.
        NotReadyError: a version cannot be loaded; the versions that were served before are unaffected.
        RequestError: the server rejected the change.
    """
    models = _changeable(server)
    pinned = replace(_find(models, name), versions=versions)
    if (there := _versions_of(server, pinned)) is not None:
        check_versions(pinned.name, pinned.versions, pinned.labels, there)
    _apply(server, models, _with(models, pinned), seconds)


def rollback(server: Server, name: str | None, *, seconds: float) -> int:
    """Pins a model to the version before the newest that is AVAILABLE, and returns its number.

    Raises:
        UsageError: there is no version before it.
        NotReadyError: it cannot be loaded.
        RequestError: the server rejected the change.
    """
    model = _find(_changeable(server), name)
    newest = max(_available(server, model), default=0)
    there = _versions_of(server, model)
    known = [status.version for status in version_statuses(server, model.name)] if there is None else there
    older = [version for version in known if version < newest]
    if not older:
        raise UsageError(
            f"The model {model.name!r} has no version before version {newest}.",
            hint=f"Its versions are: {', '.join(map(str, known))}. To serve one of them: "
            f"tfserve models {server.name} pin {model.name} VERSION",
        )
    pin(server, model.name, VersionPolicy(1, (max(older),)), seconds=seconds)
    return max(older)


def _changeable(server: Server) -> Models:
    """The models of a server, if they can be changed while it is running.

    Raises:
        UsageError: they cannot be changed.
        NoSuchServerError: the server is stopped.
    """
    check_running(server)
    if server.spec is not None and (own := server.spec.config):
        raise UsageError(
            f"{server.name!r} uses your own {str(own)!r}, which tfserve does not change.",
            hint=f"Change that file, then: tfserve restart {server.name}",
        )
    config = server.models_config()
    if config is None and not (server.spec and server.spec.models):
        raise UsageError(
            f"{server.name!r} serves the models inside its image, which cannot be changed.",
            hint="Create an image with other models: tfserve package MODEL_DIR --image REPO:TAG",
        )
    if config is None:
        raise UsageError(
            f"{server.name!r} was started for the newest version of one model, which cannot be changed.",
            hint=Wording("Start it again with {versions}.", versions=Attribute("versions", "latest")),
        )
    if server.reload_address is None:
        raise UsageError(
            f"{server.name!r} does not publish its gRPC API, which is needed to change its models.",
            hint=Wording("Start it without {grpc_port}.", grpc_port=Attribute("grpc_port", "none")),
        )
    return served_models(config)


def _apply(server: Server, old: Models, new: Models, seconds: float) -> None:
    """Applies `new` to the server and saves it; if that is rejected or fails, `old` remains in effect."""
    from tfserve.client.reload import reload_config

    address = server.reload_address or ""
    watch = _LoadWatch(server)
    try:
        reload_config(address, to_message(new), timeout=seconds, watch=watch)
        before = {model.name: (model.base_path, model.versions) for model in old}
        for model in new:
            if before.get(model.name) != (model.base_path, model.versions):
                _wait_for(server, model.name, _expected_versions(server, model), seconds, watch)
    except (TfserveError, KeyboardInterrupt):
        # The official server may have applied a part of what it rejected.
        with interrupts_deferred(), suppress(RequestError):
            reload_config(address, to_message(old), timeout=seconds)
        raise
    server.save_models_config(to_text(new), [model.name for model in new])


class _LoadWatch:
    """Raises NotReadyError when a new line of the log reports that a version cannot be loaded.

    The status does not show that, because the server continues to retry for minutes.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._since = datetime.now(timezone.utc)

    def __call__(self) -> None:
        from tfserve.engines.server_log import load_failure

        failure = load_failure(self._server.logs(since=self._since))
        if failure is not None:
            raise NotReadyError(failure, hint="The models it served before are unaffected.")


def _find(models: Models, name: str | None) -> ServedModel:
    names = [model.name for model in models]
    if name is None and len(models) == 1:
        return models[0]
    if name is None:
        raise UsageError(f"The server has several models: {', '.join(names)}.", hint="Name one of them.")
    for model in models:
        if model.name == name:
            return model
    hint = did_you_mean(name, names) or f"Its models: {', '.join(names)}."
    raise UsageError(f"The server has no model {name!r}.", hint=hint)


def _with(models: Models, changed: ServedModel) -> Models:
    return tuple(changed if model.name == changed.name else model for model in models)


def _versions_of(server: Server, model: ServedModel) -> tuple[int, ...] | None:
    """The versions of a model that a server could load; None for a model in a bucket, where that is unknown."""
    return None if "://" in model.base_path else server.versions(model.base_path)


def _expected_versions(server: Server, model: ServedModel) -> Sequence[int]:
    """The versions that a server will finally have loaded; empty if that is unknown."""
    there = _versions_of(server, model)
    return model.versions.specific if there is None else model.versions.served(there)


def _available(server: Server, model: ServedModel) -> list[int]:
    return sorted(s.version for s in version_statuses(server, model.name) if s.state == "AVAILABLE")


def _wait_for(server: Server, name: str, versions: Sequence[int], seconds: float, watch: Callable[[], None]) -> None:
    """Returns when exactly these versions of a model are AVAILABLE, or, if they are unknown, when none is loading.

    Raises:
        NotReadyError: a version cannot be loaded, or loading takes too long.
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
                hint=Wording(
                    "A large model takes longer to load: raise {wait_seconds}. "
                    "The versions served before are unaffected."
                ),
            )
        time.sleep(_POLL_SECONDS)
        watch()

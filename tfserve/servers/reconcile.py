"""Decides what ``tfserve up`` does, by comparing the servers of a file with those that exist.

The spec of a server is read from its label. Its models are compared by what it serves now, because ``tfserve models``
may have changed that. A server with a name from the file belongs to the file, even if ``tfserve run`` started it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from tfserve.config.read import ConfiguredServer
from tfserve.config.source_map import FIELD_NAMES
from tfserve.defaults import AUTO, EngineChoice
from tfserve.engines.base import Server
from tfserve.engines.choice import check_spec
from tfserve.errors import TfserveError, UsageError, located
from tfserve.models.bucket_credentials import SECRET_VARIABLES
from tfserve.plan.spec_label import recorded_spec
from tfserve.progress import Progress
from tfserve.servers.lookup import list_servers
from tfserve.servers.served_models import served_now
from tfserve.servers.smoke_test import read_test_request
from tfserve.spec.model import ModelSpec
from tfserve.spec.models_config import NEWEST
from tfserve.spec.serve import ServeSpec
from tfserve.spec.server_flags import flag_digests

__all__ = ["Step", "reconcile", "reconcile_again"]

Action = Literal["create", "recreate", "start", "unpause", "leave", "fail"]


@dataclass(frozen=True)
class Step:
    """What to do about one server.

    Attributes:
        configured: the server as the file describes it.
        action: what to do.
        existing: the server of that name; None if there is none.
        changed: for ``recreate``, the fields in which the existing server differs.
        error: for ``fail``, the reason.
    """

    configured: ConfiguredServer
    action: Action
    existing: Server | None = None
    changed: tuple[str, ...] = ()
    error: TfserveError | None = None

    @property
    def name(self) -> str:
        """The server's name."""
        return self.configured.spec.name

    @property
    def why(self) -> str:
        """Why the server is recreated; empty for other actions."""
        if self.action != "recreate":
            return ""
        return f"{', '.join(self.changed)} changed" if self.changed else "it was never started"


def reconcile(servers: Sequence[ConfiguredServer], progress: Progress, *, download: bool = True) -> list[Step]:
    """Decides what to do about each server of a file. Changes nothing, but downloads archives into the cache.

    Args:
        servers: the servers.
        progress: reports downloads.
        download: whether to download; otherwise models are compared with what the cache has.
    """
    existing: dict[str, list[Server]] = {}
    for server in list_servers().servers:
        existing.setdefault(server.name, []).append(server)
    return [
        _step(configured, existing.get(configured.spec.name, []), progress, download=download) for configured in servers
    ]


def reconcile_again(step: Step, progress: Progress) -> Step:
    """Decides again, because another command may have changed the server in the meantime."""
    (again,) = reconcile([step.configured], progress)
    return again


def _step(configured: ConfiguredServer, existing: Sequence[Server], progress: Progress, *, download: bool) -> Step:
    choice = configured.options.engine
    try:
        with located(configured.locate):
            read_test_request(configured.options)
            wanted, flag_files = _recorded(configured.spec, choice, progress, download=download)
        if not existing:
            return Step(configured, "create")
        server = next((server for server in existing if choice in (AUTO, server.engine.name)), existing[0])
        if server.state == "created":  # tfserve was killed before the files of the server were in place
            return Step(configured, "recreate", server)
        changed = _changed(configured.spec, wanted, flag_files, server)
        if choice not in (AUTO, server.engine.name):
            changed.add("engine")
    except TfserveError as error:
        return Step(configured, "fail", error=error)
    if changed:
        fields = sorted(FIELD_NAMES.get(attribute, attribute) for attribute in changed)
        return Step(configured, "recreate", server, tuple(fields))
    if server.state == "paused":
        return Step(configured, "unpause", server)
    return Step(configured, "leave" if server.running else "start", server)


def _recorded(
    spec: ServeSpec, choice: EngineChoice, progress: Progress, *, download: bool
) -> tuple[ServeSpec, Mapping[str, str]]:
    """The spec and the digests of files that the label of a new server would hold.

    Raises:
        TfserveError: `spec` cannot be served.
    """
    return recorded_spec(spec, check_spec(spec, choice, progress, download=download, addresses=True)), flag_digests(
        spec.server_flags
    )


def _changed(spec: ServeSpec, wanted: ServeSpec, flag_files: Mapping[str, str], server: Server) -> set[str]:
    """The attributes by which a server differs from `spec`, which would be recorded as `wanted` with `flag_files`."""
    recorded = server.spec or ServeSpec(spec.name, (ModelSpec(Path(), spec.name),))
    attributes = {field.name for field in fields(ServeSpec)} - {"name", "models"}
    changed = {name for name in attributes if getattr(wanted, name) != getattr(recorded, name)}
    if flag_files != server.flag_files:  # the content of a file has changed
        changed.add("server_flags")
    if server.spec is None or _models_differ(spec, wanted, server):
        changed.add("models")
    if spec.environment and not _has(server, spec.environment):
        changed.add("environment")
    return changed


def _models_differ(spec: ServeSpec, wanted: ServeSpec, server: Server) -> bool:
    recorded = server.spec.models if server.spec else ()
    if spec.config is not None or not spec.models:  # a file of the user's, or the image, determines what is served
        return wanted.models != recorded
    if spec.single_model != (server.config is None):
        return True
    requested = {model.name: (model.versions or NEWEST, dict(model.labels)) for model in spec.models}
    try:
        serves = {model.name: (model.versions, dict(model.labels)) for model in served_now(server)}
    except UsageError:  # the user changed its models.config
        return True
    paths = {model.name: model.path for model in recorded}  # a model that was copied into a container is not among them
    return requested != serves or any(paths.get(model.name) != model.path for model in wanted.models)


def _has(server: Server, environment: Mapping[str, str]) -> bool:
    """Whether a server has these variables. Their values are in no label, so they are read from the engine.

    If the engine does not record credentials, their values are not compared.
    """
    known = server.environment()
    unknown = set() if server.engine.records_secrets else set(SECRET_VARIABLES).difference(known)
    return all(known.get(name) == value for name, value in environment.items() if name not in unknown)

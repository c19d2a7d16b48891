"""What a server serves now: its models, their versions and labels, by its configuration and its own word."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from tfserve.engines.base import Server
from tfserve.errors import RequestError, UsageError
from tfserve.protos.version_status import VersionStatus
from tfserve.servers.status import version_statuses
from tfserve.spec.models_config import ServedModel, served_models
from tfserve.spec.versions import VersionPolicy

__all__ = ["ModelState", "model_states", "served_now"]


@dataclass(frozen=True)
class ModelState:
    """A model that a server serves, with the state of each version that the server knows."""

    model: ServedModel
    versions: tuple[VersionStatus, ...]

    def labels_of(self, version: int) -> list[str]:
        """The labels of a version."""
        return [label for label, number in self.model.labels.items() if number == version]


def model_states(server: Server) -> list[ModelState]:
    """Returns what a server serves, and how that does.

    A model of which the server tells nothing has no versions.
    """
    states = []
    for model in served_now(server):
        versions: tuple[VersionStatus, ...] = ()
        with suppress(RequestError, UsageError):
            versions = version_statuses(server, model.name)
        states.append(ModelState(model, versions))
    return states


def served_now(server: Server) -> tuple[ServedModel, ...]:
    """The models of a server, by its configuration, or by what it was started with.

    Raises:
        UsageError: its configuration is not one that tfserve wrote.
    """
    config = server.models_config()
    if config is not None:
        return served_models(config)
    written = {str(spec.get("name")): spec for spec in server.spec.get("models", ()) if isinstance(spec, dict)}
    models = []
    for name in server.models:
        spec = written.get(name, {})
        versions = spec.get("versions") or {}
        policy = VersionPolicy(versions.get("latest", 1), tuple(versions.get("specific", ())))
        models.append(ServedModel(name, str(spec.get("path", "")), policy, spec.get("labels") or {}))
    return tuple(models)

"""What a server serves now: its models, their versions and labels, from its configuration and its status API."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from tfserve.engines.base import Server
from tfserve.errors import RequestError, UsageError
from tfserve.protos.version_status import VersionStatus
from tfserve.servers.status import version_statuses
from tfserve.spec.models_config import NEWEST, ServedModel, served_models

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
    """Returns the models of a server with the states of their versions; none for a model without a status."""
    states = []
    for model in served_now(server):
        versions: tuple[VersionStatus, ...] = ()
        with suppress(RequestError, UsageError):
            versions = version_statuses(server, model.name)
        states.append(ModelState(model, versions))
    return states


def served_now(server: Server) -> tuple[ServedModel, ...]:
    """The models of a server, from its configuration or, if it has none, from its label.

    Raises:
        UsageError: its configuration is not one that tfserve wrote.
    """
    config = server.models_config()
    if config is not None:
        return served_models(config)
    recorded = {} if server.spec is None else {model.name: model for model in server.spec.models}
    models = []
    for name in server.models:
        if (model := recorded.get(name)) is None:  # the model is inside the image, or the label is damaged
            models.append(ServedModel(name, "", NEWEST))
        else:
            models.append(ServedModel(name, str(model.path), model.versions or NEWEST, model.labels))
    return tuple(models)

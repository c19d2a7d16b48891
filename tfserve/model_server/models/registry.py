"""Every known model and version, as the manager changes them and requests see them."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

from tfserve.model_server.models.config import ModelConfig
from tfserve.model_server.models.serving_map import Labels, ServingMap
from tfserve.model_server.models.version import Model, Version
from tfserve.model_server.status import StatusError, not_found
from tfserve.protos.version_status import State, VersionStatus


class Registry:
    """The state of all models and versions.

    Any thread can call `statuses`; only the manager's thread can call the other methods.

    Attributes:
        serving: the versions that requests can use.
        models: every model that is or was configured, by name.
    """

    def __init__(self) -> None:
        self.models: dict[str, Model] = {}
        self._lock = threading.Lock()  # guards what other threads see: models, versions, states, users
        self.serving = ServingMap(self._lock)

    def statuses(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """Returns the status of each known version of a model, newest first, or of one version.

        Raises:
            StatusError: NOT_FOUND, the model or the version is unknown.
        """
        with self._lock:
            model = self.models.get(name)
            versions = model.versions if model else {}
            if version is not None:
                if version not in versions:
                    raise not_found(f"Could not find version {version} of model {name}")
                return [versions[version].status()]
            if not versions:
                raise not_found(f"Could not find any versions of model {name}")
            return [versions[number].status() for number in sorted(versions, reverse=True)]

    def in_state(self, *states: State) -> list[Version]:
        """Returns the versions of all models that are in one of `states`."""
        return [version for model in self.models.values() for version in model.in_state(*states)]

    def configure(self, configs: Iterable[ModelConfig], labels: Labels) -> None:
        """Sets the configuration of all models; models that are not in it stay known, without one."""
        with self._lock:
            new = {config.name: config for config in configs}
            for name in new:
                if name not in self.models:
                    self.models[name] = Model(name)
            for name, model in self.models.items():
                if model.config is None and name in new:  # a model that was configured before starts afresh
                    model.versions = {v.number: v for v in model.versions.values() if v.state is not State.END}
                model.config = new.get(name)
            self.serving.update(self._versions(), labels)

    def add_version(self, model: Model, number: int, path: Path) -> None:
        """Adds a version in state START, in place of an earlier one that has ended."""
        with self._lock:
            model.versions[number] = Version(model.name, number, path)

    def set_state(self, version: Version, state: State, error: StatusError | None = None) -> None:
        """Sets the state of a version."""
        with self._lock:
            version.state = state
            version.error = error
            self.serving.update(self._versions(), self.serving.labels)

    def _versions(self) -> list[Version]:
        return [version for model in self.models.values() for version in model.versions.values()]

"""Maps the model, version or label that a request names directly to the servable that answers it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tfserve.model_server.models.version import Version
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.status import StatusError, invalid_argument, not_found
from tfserve.protos.version_status import State

Labels = Mapping[str, Mapping[str, int]]
"""Model name -> label -> version."""


class ModelSpec(NamedTuple):
    """The model that a request names: its newest version, or one version by number or by label."""

    name: str
    version: int | None = None
    label: str | None = None


class Lease:
    """A borrowed servable; leaving the ``with`` block returns it."""

    __slots__ = ("_lock", "_servable", "_version")

    def __init__(self, version: Version, servable: Servable, lock: threading.Lock) -> None:
        self._version = version
        self._servable = servable
        self._lock = lock

    def __enter__(self) -> Servable:
        return self._servable

    def __exit__(self, *failure: object) -> None:
        with self._lock:
            self._version.users -= 1


class ServingMap:
    """The available versions, each under every `ModelSpec` that means it.

    Args:
        lock: guards the states and the users of versions.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self.labels: Labels = {}
        self._lock = lock
        self._versions: dict[ModelSpec, Version] = {}

    def update(self, versions: Iterable[Version], labels: Labels) -> None:
        """Replaces the map; the caller must hold the lock."""
        found: dict[ModelSpec, Version] = {}
        for version in sorted(versions, key=lambda version: version.number):
            if version.state is State.AVAILABLE:
                found[ModelSpec(version.model, version.number)] = version
                found[ModelSpec(version.model)] = version  # the newest version is the last one
        for name, numbers in labels.items():
            for label, number in numbers.items():
                labeled = found.get(ModelSpec(name, number))
                if labeled is not None:
                    found[ModelSpec(name, None, label)] = labeled
        self.labels = labels
        self._versions = found

    def use(self, spec: ModelSpec) -> Lease:
        """Borrows an available version of a model, which stays loaded until it is returned.

        Raises:
            StatusError: NOT_FOUND, the version is not available; INVALID_ARGUMENT, the label is unknown or the name
                is empty.
        """
        with self._lock:
            found = self._versions.get(spec)
            if found is None or found.servable is None:
                raise self._unavailable(spec)
            found.users += 1
            return Lease(found, found.servable, self._lock)

    def _unavailable(self, spec: ModelSpec) -> StatusError:
        name, version, label = spec
        if not name:
            return invalid_argument("ModelSpec has no name specified.")
        if label is not None:
            version = self.labels.get(name, {}).get(label)
            if version is None:
                return invalid_argument(f"Unrecognized servable version label: {label}")
        request = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        return not_found(f"Servable not found for request: {request}")

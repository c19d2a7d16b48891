"""From what a request asks to the servable that answers it, with nothing to work out in between."""

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
    """What a request asks: a model's newest version, or a certain one, by number or by label."""

    name: str
    version: int | None = None
    label: str | None = None


class Lease:
    """A servable that was taken; leaving the ``with`` block gives it back."""

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
    """The versions that requests can get, each under everything that a request may call it.

    Args:
        lock: guards the states of versions and their users.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self.labels: Labels = {}
        self._lock = lock
        self._versions: dict[ModelSpec, Version] = {}

    def update(self, versions: Iterable[Version], labels: Labels) -> None:
        """Replaces what can be got; the lock must be held."""
        found: dict[ModelSpec, Version] = {}
        for version in sorted(versions, key=lambda version: version.number):
            if version.state is State.AVAILABLE:
                found[ModelSpec(version.model, version.number)] = version
                found[ModelSpec(version.model)] = version  # the newest is the last
        for name, numbers in labels.items():
            for label, number in numbers.items():
                labelled = found.get(ModelSpec(name, number))
                if labelled is not None:
                    found[ModelSpec(name, None, label)] = labelled
        self.labels = labels
        self._versions = found

    def use(self, asked: ModelSpec) -> Lease:
        """Takes an available version of a model, which stays loaded until it is given back.

        Raises:
            StatusError: NOT_FOUND, it is not available; INVALID_ARGUMENT, there is no such label, or no name.
        """
        with self._lock:
            found = self._versions.get(asked)
            if found is None or found.servable is None:
                raise self._not_there(asked)
            found.users += 1
            return Lease(found, found.servable, self._lock)

    def _not_there(self, asked: ModelSpec) -> StatusError:
        name, version, label = asked
        if not name:
            return invalid_argument("ModelSpec has no name specified.")
        if label is not None:
            version = self.labels.get(name, {}).get(label)
            if version is None:
                return invalid_argument(f"Unrecognized servable version label: {label}")
        request = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        return not_found(f"Servable not found for request: {request}")

"""The state of each version of a model, and which versions can be unloaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tfserve.model_server.models.config import ModelConfig
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.version_status import State, VersionStatus


class Version:
    """A version that has been found in the file system.

    Args:
        model: the model's name.
        number: the version's number.
        path: its SavedModel directory.

    Attributes:
        state: its current state.
        error: why it is not, or will not be, AVAILABLE.
        servable: the loaded model, from AVAILABLE until it is unloaded.
        users: how many requests are using it.
        failures: how many loads have failed.
        retry_at: when to load it again, in the seconds of `time.monotonic`.
        busy: whether a thread is loading or unloading it.
        was_unaspired: whether it has not been an aspired version for some time since it was found.
        id: its name in the log.
    """

    def __init__(self, model: str, number: int, path: Path) -> None:
        self.model = model
        self.number = number
        self.path = path
        self.state = State.START
        self.error: StatusError | None = None
        self.servable: Servable | None = None
        self.users = 0
        self.failures = 0
        self.retry_at = 0.0
        self.busy = False
        self.was_unaspired = False
        self.id = f"{{name: {model} version: {number}}}"

    @property
    def may_load_again(self) -> bool:
        """Whether the version is loaded again once it is aspired: it was unloaded, or removed after a failed load."""
        return self.state is State.END and (self.error is None or self.was_unaspired)

    def status(self) -> VersionStatus:
        """Returns its status for the APIs."""
        if self.error is None:
            return VersionStatus(self.number, self.state.name, Code.OK.name, "")
        return VersionStatus(self.number, self.state.name, self.error.code.name, self.error.message)


class Model:
    """A model that is or was configured.

    Args:
        name: its name in requests.

    Attributes:
        name: its name in requests.
        config: its configuration; None once the model is no longer configured.
        versions: every version that has been found, by number.
        aspired: the versions that should be served -> their paths.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.config: ModelConfig | None = None
        self.versions: dict[int, Version] = {}
        self.aspired: dict[int, Path] = {}

    def in_state(self, *states: State) -> list[Version]:
        """Returns its versions that are in one of `states`, the highest number first."""
        return [
            self.versions[number]
            for number in sorted(self.versions, reverse=True)
            if self.versions[number].state in states
        ]


def versions_to_unload(model: Model) -> Iterable[Version]:
    """Returns the available versions that are not aspired and can be unloaded while the model stays available.

    Until an aspired version is available, the newest of the other versions is kept.
    Source: ``AvailabilityPreservingPolicy`` of TensorFlow Serving.
    """
    available = model.in_state(State.AVAILABLE)
    unaspired = [version for version in available if version.number not in model.aspired]
    can_unload_all = not model.aspired or len(unaspired) < len(available)
    return unaspired if can_unload_all else unaspired[1:]

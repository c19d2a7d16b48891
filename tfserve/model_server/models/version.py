"""What is known of the versions of a model: how far each has come in its life, and which should serve."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tfserve.model_server.models.config import ModelConfig
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.version_status import State, VersionStatus


class Version:
    """A version that was seen.

    Args:
        model: the model's name.
        number: the version's.
        path: where it is.

    Attributes:
        state: how far it has come.
        error: why it is not, or will not be, AVAILABLE.
        servable: the loaded model, from AVAILABLE until it is unloaded.
        users: requests that have it now.
        failures: loads that failed.
        retry_at: when to load it again, in the seconds of `time.monotonic`.
        busy: whether a thread loads or unloads it now.
        was_gone: whether it should not serve at some time since it was seen, and so may begin again once it has ended.
        id: what the log calls it.
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
        self.was_gone = False
        self.id = f"{{name: {model} version: {number}}}"

    @property
    def may_begin_again(self) -> bool:
        """Whether it would be loaded if it were to serve again: it was unloaded, or mended after its load failed."""
        return self.state is State.END and (self.error is None or self.was_gone)

    def status(self) -> VersionStatus:
        """Returns what the status API tells about it."""
        if self.error is None:
            return VersionStatus(self.number, self.state.name, Code.OK.name, "")
        return VersionStatus(self.number, self.state.name, self.error.code.name, self.error.message)


class Model:
    """A model that is, or once was, configured.

    Args:
        name: what requests call it.

    Attributes:
        name: the same.
        config: what was asked for; None once the model is no longer configured.
        versions: every version that was seen, by number.
        aspired: the versions that should serve -> their paths.
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


def surplus(model: Model) -> Iterable[Version]:
    """Returns the versions that serve, should not, and may go now without the model going with them.

    Something always serves while there is something to serve: as long as no version that should serve does, the
    newest of the others stays. Source: ``AvailabilityPreservingPolicy`` of TensorFlow Serving.
    """
    serving = model.in_state(State.AVAILABLE)
    unwanted = [version for version in serving if version.number not in model.aspired]
    others_serve = not model.aspired or len(unwanted) < len(serving)
    return unwanted if others_serve else unwanted[1:]

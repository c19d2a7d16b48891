"""Checks of the engines that `tfserve.doctor` does not know: whether each can be connected to."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError  # the built-in one from Python 3.11 on

from tfserve.doctor.background import in_background
from tfserve.doctor.facts import Check
from tfserve.engines.kinds import EngineKind
from tfserve.engines.registry import engine_kinds
from tfserve.errors import EngineUnavailableError, TfserveError

__all__ = ["OtherEngines", "other_engine_checks"]

_EXAMINED = {"docker", "local"}  # by tfserve.doctor.docker and tfserve.doctor.machine


class OtherEngines:
    """Connections to all other engines that are configured; they are made in the background.

    Args:
        seconds: how long they may take, from now on.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        kinds = [kind for kind in engine_kinds() if kind.name not in _EXAMINED]
        self._probes = {kind: in_background(kind.connect) if kind.is_configured() else None for kind in kinds}

    def errors(self) -> dict[EngineKind, TfserveError | None]:
        """Waits for the connections, and returns the error of each engine; None for an engine that can serve."""
        return {kind: self._error(kind) for kind in self._probes}

    def _error(self, kind: EngineKind) -> TfserveError | None:
        probe = self._probes[kind]
        if probe is None:
            return EngineUnavailableError(f"{_capitalized(kind.title)} is not configured.", hint=kind.how_to_use())
        try:
            probe.result(max(0.0, self._deadline - time.monotonic()))
        except TfserveError as error:
            return error
        except FutureTimeoutError:
            return EngineUnavailableError(
                f"{_capitalized(kind.title)} did not answer within {self._seconds:g} s.", hint=kind.how_to_use()
            )
        return None


def other_engine_checks(errors: Mapping[EngineKind, TfserveError | None]) -> tuple[Check, ...]:
    """Returns a check of each engine; its error is a warning, because another engine may serve."""
    return tuple(
        Check(f"{kind.name}-engine", "ok", f"{_capitalized(kind.title)} answers.")
        if error is None
        else Check(f"{kind.name}-engine", "warn", error.wording, error.hint_wording or kind.how_to_use())
        for kind, error in errors.items()
    )


def _capitalized(title: str) -> str:
    return title[:1].upper() + title[1:]

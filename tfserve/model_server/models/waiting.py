"""Waiting until the models of a configuration are available, or cannot be loaded."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass

from tfserve.model_server import log
from tfserve.model_server.models.version import Model
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.version_status import State


@dataclass(frozen=True)
class Wait:
    """A caller that waits for models to become available.

    Attributes:
        models: their names.
        done: holds the outcome.
        noun: what the official server calls a model in the error.
    """

    models: tuple[str, ...]
    done: Future[None]
    noun: str

    def settle(self, records: Mapping[str, Model]) -> bool:
        """Settles `done` if the outcome is known, and returns whether it is.

        A model without any version is waited for without a limit.
        """
        failed: list[str] = []
        for name in self.models:
            model = records[name]
            if model.config is None:
                problem = f"Model {name} was removed by a later configuration before it was available"
                self.done.set_exception(StatusError(Code.ABORTED, problem))
                return True
            if model.in_state(State.AVAILABLE):
                continue
            broken = [version for version in model.in_state(State.END) if version.error]
            if not broken or model.in_state(State.START, State.LOADING, State.UNLOADING):
                return False
            failed.append(f"{{{broken[0].id} due to error: {broken[0].error}}}, ")
        if failed:
            problem = f"{len(failed)} {self.noun}(s) did not become available: {{{''.join(failed)}}}"
            self.done.set_exception(StatusError(Code.UNKNOWN, problem))
        else:
            log.info("Finished adding/updating models")  # before those who wait log what follows
            self.done.set_result(None)
        return True

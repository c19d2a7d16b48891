"""Keeps the models of a configuration served: finds their versions, and has them loaded and unloaded.

One thread, the manager's, makes all decisions and changes all states, so that nothing here races with itself. Loading
and unloading take long and run in threads of their own; these, and callers that replace the configuration, only send
jobs to the manager's thread. Requests borrow servables through a map that is replaced as a whole.

Sources: ``ServerCore`` and ``AspiredVersionsManager`` of TensorFlow Serving.
"""

from __future__ import annotations

import functools
import queue
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from tfserve.model_server import log
from tfserve.model_server.models.config import ManagerOptions, ModelConfig, model_configs
from tfserve.model_server.models.loader import Loader
from tfserve.model_server.models.registry import Registry
from tfserve.model_server.models.serving_map import Labels, Lease, ModelSpec
from tfserve.model_server.models.version import Model, versions_to_unload
from tfserve.model_server.models.version_source import find_versions
from tfserve.model_server.models.waiting import Wait
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.version_status import State, VersionStatus

if TYPE_CHECKING:
    from tfserve.protos import model_config_pb2

__all__ = ["Lease", "Manager", "ManagerOptions", "ModelConfig", "ModelSpec"]

_NEVER = float("inf")
_PAUSE_AFTER_ERROR_SECONDS = 1.0


class Manager:
    """Keeps the models of a configuration served, from `start` to `stop`.

    Args:
        models: the models to serve; names are unique.
        options: when to poll and to retry.
        load_options: how to load and run each version.

    Attributes:
        models: the current configuration.
        ready: done when every model that the server started with has a version available; fails with StatusError
            UNKNOWN when one of them has none and no load of it will be retried.
        next_poll: when the file system is polled next, in the seconds of `time.monotonic`; infinity for never.
    """

    def __init__(self, models: Iterable[ModelConfig], options: ManagerOptions, load_options: LoadOptions) -> None:
        self.models = tuple(models)
        self.ready = _new_future()
        self.next_poll = _NEVER
        self._options = options
        self._registry = Registry()
        self._serving = self._registry.serving
        self._loader = Loader(self._registry, options, load_options, self._send)
        self._waits: list[Wait] = []
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stop_lock = threading.Lock()  # no job is queued once the manager's thread has stopped taking them
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="manager", daemon=True)

    def start(self) -> None:
        """Starts polling for versions and loading them, in a thread of its own.

        Raises:
            StatusError: FAILED_PRECONDITION, a label is assigned to a version that is not available, as none is yet.
        """
        labels = self._labels(self.models)
        self._apply_config(
            self.models, labels, Wait(tuple(model.name for model in self.models), self.ready, "servable")
        )
        self._thread.start()

    def stop(self) -> None:
        """Stops polling and loading, and ends every wait. Loaded versions stay, for requests that are running."""
        self._send(self._stop)

    def use(self, spec: ModelSpec) -> Lease:
        """Borrows an available version of a model, which stays loaded until it is returned.

        Raises:
            StatusError: NOT_FOUND, the version is not available; INVALID_ARGUMENT, the label is unknown or the name
                is empty.
        """
        return self._serving.use(spec)

    def statuses(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """Returns the status of each known version of a model, newest first, or of one version.

        Raises:
            StatusError: NOT_FOUND, the model or the version is unknown.
        """
        return self._registry.statuses(name, version)

    def poll(self) -> Future[None]:
        """Polls the file system now, whatever the poll interval is.

        Returns:
            Done when every version that is due to be loaded or unloaded after the poll is being loaded or unloaded.
            Fails with StatusError CANCELLED when the manager is stopped.
        """
        done = _new_future()
        if not self._send(functools.partial(self._poll_now, done)):
            done.set_exception(_shutting_down())
        return done

    def reload(self, config: model_config_pb2.ModelServerConfig) -> None:
        """Replaces the configuration, and waits until the models that are new in it are available.

        This is ``ServerCore::ReloadConfig``. It blocks, so the event loop's thread awaits `replace` instead.

        Args:
            config: every model to serve from now on.

        Raises:
            StatusError: see `model_configs` and `replace`.
        """
        self.replace(model_configs(config, self.models)).result()

    def replace(self, models: tuple[ModelConfig, ...]) -> Future[None]:
        """Replaces the configuration, without waiting.

        Models that are no longer configured are unloaded and new ones are loaded; for the others, the file system is
        polled and the labels are replaced. A configuration is applied as a whole or, if refused, not at all.

        Args:
            models: every model to serve from now on; names are unique.

        Returns:
            Done when each new model has a version available. Fails with StatusError: FAILED_PRECONDITION, a label is
            assigned to a version that is not available; UNKNOWN, the configuration was applied and a new model could
            not be loaded; ABORTED, a later configuration without that model was applied; CANCELLED, the manager was
            stopped.
        """
        done = _new_future()
        if not self._send(functools.partial(self._replace, models, done)):
            done.set_exception(_shutting_down())
        return done

    def _send(self, job: Callable[[], None]) -> bool:
        """Queues a job for the manager's thread, and returns whether the thread still runs jobs."""
        with self._stop_lock:
            if not self._stopped:
                self._jobs.put(job)
            return not self._stopped

    # The methods below run in the manager's thread, or in `start` before that thread exists.

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._step()
                due = min(self.next_poll, self._loader.next_due())
                self._run_next_job(None if due == _NEVER else max(0.0, due - time.monotonic()))
            except Exception as failure:  # any error: the models that are being served stay available
                log.error(f"The manager failed with {type(failure).__name__}: {failure}")
                self._run_next_job(_PAUSE_AFTER_ERROR_SECONDS)
        while not self._jobs.empty():
            self._run_next_job(0)

    def _run_next_job(self, seconds: float | None) -> None:
        """Runs the next job, if one is queued within some time."""
        try:
            job = self._jobs.get(timeout=seconds)
        except queue.Empty:
            return
        job()

    def _stop(self) -> None:
        with self._stop_lock:
            self._stopped = True
        for wait in self._waits:
            wait.done.set_exception(_shutting_down())
        self._waits.clear()

    def _step(self) -> None:
        """Does everything that is due."""
        if time.monotonic() >= self.next_poll:
            interval = self._options.poll_seconds
            self.next_poll = time.monotonic() + interval if interval > 0 else _NEVER
            self._poll_all()
        for model in self._registry.models.values():
            self._apply_aspired_versions(model)
        self._loader.step()
        self._waits = [wait for wait in self._waits if not self._settle(wait)]

    def _poll_now(self, done: Future[None]) -> None:
        if self._stopped:
            done.set_exception(_shutting_down())
            return
        self._poll_all()
        self._step()
        done.set_result(None)

    def _poll_all(self) -> None:
        for model in self._registry.models.values():
            self._poll(model)

    def _poll(self, model: Model) -> None:
        """Finds the versions of a model in the file system, and sets those that should be served."""
        found = {} if model.config is None else find_versions(model.config)
        if found is None:
            return
        model.aspired = found
        for version in model.versions.values():
            if version.number not in found:
                version.was_unaspired = True
                self._loader.cancel(version)

    def _apply_aspired_versions(self, model: Model) -> None:
        """Starts the aspired versions that are not known yet, and ends the others where the policy allows it."""
        for number, path in model.aspired.items():
            known = model.versions.get(number)
            if known is None or known.may_load_again:
                self._registry.add_version(model, number, path)
        for version in versions_to_unload(model):
            log.info(f"Quiescing servable version {version.id}")
            self._registry.set_state(version, State.UNLOADING)

    def _settle(self, wait: Wait) -> bool:
        """Settles a wait whose outcome is known, and returns whether it is."""
        if not wait.settle(self._registry.models):
            return False
        if wait.done is self.ready:
            self._loader.end_initial_load()
        return True

    def _replace(self, models: tuple[ModelConfig, ...], done: Future[None]) -> None:
        try:
            if self._stopped:
                raise _shutting_down()
            labels = self._labels(models)
        except StatusError as failure:
            done.set_exception(failure)
            return
        old = {model.name for model in self.models}
        new = tuple(model.name for model in models if model.name not in old)
        self._apply_config(models, labels, Wait(new, done, "model"))

    def _labels(self, models: Iterable[ModelConfig]) -> Labels:
        """Returns the labels of `models`.

        Raises:
            StatusError: FAILED_PRECONDITION, a label is assigned to a version that is not AVAILABLE, and either it is
                moved there from another version or labels for unavailable versions are not allowed.
        """
        for config in models:
            known = self._registry.models.get(config.name)
            available = {version.number for version in known.in_state(State.AVAILABLE)} if known else set()
            old = self._serving.labels.get(config.name, {})
            for label, number in config.labels.items():
                moved = old.get(label, number) != number
                if number not in available and (moved or not self._options.labels_for_unavailable):
                    raise StatusError(
                        Code.FAILED_PRECONDITION,
                        f"Request to assign label to version {number} of model {config.name}, which is not currently "
                        "available for inference",
                    )
        return {config.name: config.labels for config in models if config.labels}

    def _apply_config(self, models: tuple[ModelConfig, ...], labels: Labels, wait: Wait) -> None:
        """Makes a configuration the current one; the next step polls for its versions."""
        log.info("Adding/updating models.")
        for config in models:
            log.info(f" (Re-)adding model: {config.name}")
        self._registry.configure(models, labels)
        self.models = models
        self._waits.append(wait)
        for model in self._registry.models.values():
            if model.config is None:
                self._poll(model)
        if self._options.poll_seconds >= 0:
            self.next_poll = 0.0


def _new_future() -> Future[None]:
    """Returns a future that its waiters cannot cancel."""
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()
    return future


def _shutting_down() -> StatusError:
    return StatusError(Code.CANCELLED, "The server is shutting down")

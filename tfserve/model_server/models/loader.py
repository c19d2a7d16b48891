"""Loads and unloads versions in threads, as many at the same time as allowed, and retries failed loads.

Source: ``LoaderHarness`` and ``BasicManager`` of TensorFlow Serving.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable

from tfserve.model_server import log
from tfserve.model_server.models.config import ManagerOptions
from tfserve.model_server.models.registry import Registry
from tfserve.model_server.models.version import Version
from tfserve.model_server.runtime.loading import load_servable
from tfserve.model_server.runtime.priority import lower_priority
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.version_status import State

_DRAIN_POLL_SECONDS = 0.02


class Loader:
    """Brings versions from START to AVAILABLE, and from UNLOADING to END.

    All methods run in the manager's thread. The threads that load and unload change no shared state: they send their
    result to the manager's thread.

    Args:
        registry: holds the versions.
        options: when to retry, and how many threads to use.
        load_options: how to load and run each version.
        send: queues a job for the manager's thread; can be called from any thread.

    Attributes:
        load_threads: how many versions can load at the same time.
    """

    def __init__(
        self,
        registry: Registry,
        options: ManagerOptions,
        load_options: LoadOptions,
        send: Callable[[Callable[[], None]], object],
    ) -> None:
        self.load_threads = 4 * (os.cpu_count() or 1)
        self._registry = registry
        self._options = options
        self._load_options = load_options
        self._send = send

    def end_initial_load(self) -> None:
        """Reduces the threads to the configured number, once the models that the server starts with are loaded."""
        self.load_threads = max(1, self._options.load_threads)

    def step(self) -> None:
        """Starts every load and unload that is due and for which a thread is free."""
        unloading = self._registry.in_state(State.UNLOADING)
        free = max(1, self._options.unload_threads) - _busy(unloading)
        for version in [version for version in unloading if not version.busy and version.users == 0][:free]:
            log.info(f"Done quiescing servable version {version.id}")
            log.info(f"Unloading just-loaded servable version {version.id}")
            self._start_thread("unload", self._unload_in_thread, version)
        waiting = self._registry.in_state(State.START, State.LOADING)
        free = self.load_threads - _busy(waiting)
        now = time.monotonic()
        for version in [version for version in waiting if not version.busy and version.retry_at <= now][:free]:
            self._start_loading(version)

    def next_due(self) -> float:
        """Returns when `step` has something to do, in the seconds of `time.monotonic`."""
        loading = self._registry.in_state(State.LOADING)
        due = [float("inf")]
        if _busy(loading) < self.load_threads:  # otherwise the end of a load starts the next step
            due += [version.retry_at for version in loading if not version.busy]
        if any(not version.busy for version in self._registry.in_state(State.UNLOADING)):
            due.append(time.monotonic() + _DRAIN_POLL_SECONDS)
        return min(due)

    def cancel(self, version: Version) -> None:
        """Ends a version that is no longer aspired; one that is being loaded is ended afterwards."""
        if version.state in (State.START, State.LOADING) and not version.busy:
            log.info(f"Retrying of Loading servable: {version.id} was cancelled.")
            self._registry.set_state(version, State.END, _cancelled())

    def _start_loading(self, version: Version) -> None:
        if version.failures:
            log.info(f"Retrying of Loading servable: {version.id} retry: {version.failures}")
        else:
            log.info(f"Successfully reserved resources to load servable {version.id}")
            log.info(f"Approving load for servable version {version.id}")
            log.info(f"Loading servable version {version.id}")
        self._registry.set_state(version, State.LOADING)
        self._start_thread("load", self._load_in_thread, version)

    def _start_thread(self, name: str, target: Callable[[Version], None], version: Version) -> None:
        threading.Thread(target=target, args=(version,), name=name, daemon=True).start()
        version.busy = True  # only now: if no thread can be started, the next step tries again

    def _load_in_thread(self, version: Version) -> None:
        lower_priority()  # TensorFlow's threads inherit it: the first load starts them
        loaded: Servable | StatusError
        try:
            loaded = load_servable(version.model, version.number, version.path, self._load_options)
        except StatusError as failure:
            loaded = failure
        except Exception as failure:  # such as MemoryError: this version cannot be loaded, but others can
            loaded = StatusError(Code.INTERNAL, f"{type(failure).__name__}: {failure}")
        self._send(functools.partial(self._finish_loading, version, loaded))

    def _finish_loading(self, version: Version, loaded: Servable | StatusError) -> None:
        version.busy = False
        aspired = version.number in self._registry.models[version.model].aspired
        if isinstance(loaded, StatusError):
            self._handle_failure(version, loaded, aspired)
            return
        version.servable = loaded
        if aspired:
            log.info(f"Successfully loaded servable version {version.id}")
            self._registry.set_state(version, State.AVAILABLE)
        else:
            self._registry.set_state(version, State.UNLOADING, _cancelled())

    def _handle_failure(self, version: Version, failure: StatusError, aspired: bool) -> None:
        """Schedules another load after a failed one, or ends the version."""
        action = f"Loading servable: {version.id}"
        log.error(f"{action} failed: {failure}")
        version.failures += 1
        if not aspired:
            log.info(f"Retrying of {action} was cancelled.")
        elif version.failures <= self._options.max_retries:
            version.retry_at = time.monotonic() + max(0.0, self._options.retry_seconds)
            return
        else:
            log.info(f"Retrying of {action} exhausted max_num_retries: {self._options.max_retries}")
        self._registry.set_state(version, State.END, failure)
        log.info(f"Encountered an error for servable version {version.id}: {failure}")
        log.error(f"Servable {version.id} cannot be loaded: {failure}")

    def _unload_in_thread(self, version: Version) -> None:
        try:
            if version.servable is not None:
                version.servable.close()
        except Exception as failure:  # the version ends all the same
            log.error(f"Servable {version.id} cannot be unloaded: {failure}")
        self._send(functools.partial(self._finish_unloading, version))

    def _finish_unloading(self, version: Version) -> None:
        version.busy = False
        version.servable = None
        self._registry.set_state(version, State.END, version.error)
        log.info(f"Done unloading servable version {version.id}")


def _busy(versions: list[Version]) -> int:
    return sum(version.busy for version in versions)


def _cancelled() -> StatusError:
    return StatusError(Code.CANCELLED, "Loading of servable cancelled")

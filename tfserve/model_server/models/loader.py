"""Loads and unloads versions, in threads, as many at the same time as allowed, and tries again what failed.

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
from tfserve.model_server.runtime.priority import let_event_loop_go_first
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.version_status import State

_DRAIN_POLL_SECONDS = 0.02


class Loader:
    """Brings versions from START to AVAILABLE, and from UNLOADING to END.

    All methods are for the manager's thread. The threads that load and unload change nothing that others see: they
    send what came of it.

    Args:
        registry: where the versions are.
        options: when to retry, and how many threads.
        load_options: how to load and run each version.
        send: has the manager's thread do something; for any thread.

    Attributes:
        load_threads: how many versions may load at the same time.
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

    def all_loaded(self) -> None:
        """Says that what the server starts with is loaded; from now on fewer threads may load."""
        self.load_threads = max(1, self._options.load_threads)

    def step(self) -> None:
        """Begins to load and to unload what is due, as far as there are threads for it."""
        unloading = self._registry.in_state(State.UNLOADING)
        room = max(1, self._options.unload_threads) - _busy(unloading)
        for version in [version for version in unloading if not version.busy and version.users == 0][:room]:
            log.info(f"Done quiescing servable version {version.id}")
            log.info(f"Unloading just-loaded servable version {version.id}")
            self._in_thread("unload", self._unload_in_thread, version)
        waiting = self._registry.in_state(State.START, State.LOADING)
        room = self.load_threads - _busy(waiting)
        now = time.monotonic()
        for version in [version for version in waiting if not version.busy and version.retry_at <= now][:room]:
            self._begin_to_load(version)

    def next_due(self) -> float:
        """Returns when there is something to do again, in the seconds of `time.monotonic`."""
        loading = self._registry.in_state(State.LOADING)
        due = [float("inf")]
        if _busy(loading) < self.load_threads:  # otherwise the end of a load tells
            due += [version.retry_at for version in loading if not version.busy]
        if any(not version.busy for version in self._registry.in_state(State.UNLOADING)):
            due.append(time.monotonic() + _DRAIN_POLL_SECONDS)
        return min(due)

    def cancel(self, version: Version) -> None:
        """Gives up a version that should not serve any more; one that is being loaded is given up afterwards."""
        if version.state in (State.START, State.LOADING) and not version.busy:
            log.info(f"Retrying of Loading servable: {version.id} was cancelled.")
            self._registry.move(version, State.END, _cancelled())

    def _begin_to_load(self, version: Version) -> None:
        if version.failures:
            log.info(f"Retrying of Loading servable: {version.id} retry: {version.failures}")
        else:
            log.info(f"Successfully reserved resources to load servable {version.id}")
            log.info(f"Approving load for servable version {version.id}")
            log.info(f"Loading servable version {version.id}")
        self._registry.move(version, State.LOADING)
        self._in_thread("load", self._load_in_thread, version)

    def _in_thread(self, name: str, target: Callable[[Version], None], version: Version) -> None:
        threading.Thread(target=target, args=(version,), name=name, daemon=True).start()
        version.busy = True  # only now: where no thread can be had, it stays to be done

    def _load_in_thread(self, version: Version) -> None:
        let_event_loop_go_first()  # also of the threads in which TensorFlow will run models; the first load starts them
        loaded: Servable | StatusError
        try:
            loaded = load_servable(version.model, version.number, version.path, self._load_options)
        except StatusError as failure:
            loaded = failure
        except Exception as failure:  # such as MemoryError: this version cannot be loaded, others can
            loaded = StatusError(Code.INTERNAL, f"{type(failure).__name__}: {failure}")
        self._send(functools.partial(self._end_loading, version, loaded))

    def _end_loading(self, version: Version, loaded: Servable | StatusError) -> None:
        version.busy = False
        wanted = version.number in self._registry.models[version.model].aspired
        if isinstance(loaded, StatusError):
            self._note_failure(version, loaded, wanted)
            return
        version.servable = loaded
        if wanted:
            log.info(f"Successfully loaded servable version {version.id}")
            self._registry.move(version, State.AVAILABLE)
        else:
            self._registry.move(version, State.UNLOADING, _cancelled())

    def _note_failure(self, version: Version, failure: StatusError, wanted: bool) -> None:
        """Takes note that a load failed, and of when to try again."""
        doing = f"Loading servable: {version.id}"
        log.error(f"{doing} failed: {failure}")
        version.failures += 1
        if not wanted:
            log.info(f"Retrying of {doing} was cancelled.")
        elif version.failures <= self._options.max_retries:
            version.retry_at = time.monotonic() + max(0.0, self._options.retry_seconds)
            return
        else:
            log.info(f"Retrying of {doing} exhausted max_num_retries: {self._options.max_retries}")
        self._registry.move(version, State.END, failure)
        log.info(f"Encountered an error for servable version {version.id}: {failure}")
        log.error(f"Servable {version.id} cannot be loaded: {failure}")

    def _unload_in_thread(self, version: Version) -> None:
        try:
            if version.servable is not None:
                version.servable.close()
        except Exception as failure:  # it is gone all the same
            log.error(f"Servable {version.id} cannot be unloaded: {failure}")
        self._send(functools.partial(self._end_unloading, version))

    def _end_unloading(self, version: Version) -> None:
        version.busy = False
        version.servable = None
        self._registry.move(version, State.END, version.error)
        log.info(f"Done unloading servable version {version.id}")


def _busy(versions: list[Version]) -> int:
    return sum(version.busy for version in versions)


def _cancelled() -> StatusError:
    return StatusError(Code.CANCELLED, "Loading of servable cancelled")

"""Keeps the models of a configuration served: looks for their versions, and has them loaded and unloaded.

One thread, the manager's, decides everything and changes every state, so that nothing here races with itself. Loading
and unloading take long and have threads of their own; these, and whoever brings another configuration, only send the
manager's thread what to do next. Requests take servables and give them back, and see a map that is replaced as a whole.

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
from tfserve.model_server.models.version import Model, surplus
from tfserve.model_server.models.version_source import find_versions
from tfserve.model_server.models.waiting import Wait
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.version_status import State, VersionStatus

if TYPE_CHECKING:
    from tfserve.protos import model_config_pb2

__all__ = ["Lease", "Manager", "ManagerOptions", "ModelConfig", "ModelSpec"]

_BREATH_SECONDS = 1.0


class Manager:
    """Keeps the models of a configuration served, from `start` to `stop`.

    Args:
        models: what to serve; names are unique.
        options: when to look and to retry.
        load_options: how to load and run each version.

    Attributes:
        models: the configuration in force.
        ready: done when every model that the server started with has a version available; fails with StatusError
            UNKNOWN when one of them has none and its last load was given up.
    """

    def __init__(self, models: Iterable[ModelConfig], options: ManagerOptions, load_options: LoadOptions) -> None:
        self.models = tuple(models)
        self.ready = _new_future()
        self._options = options
        self._registry = Registry()
        self._serving = self._registry.serving
        self._loader = Loader(self._registry, options, load_options, self._send)
        self._waits: list[Wait] = []
        self._next_poll = float("inf")
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._end_lock = threading.Lock()  # nothing is put in the inbox once nobody looks into it
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="manager", daemon=True)

    def start(self) -> None:
        """Begins to look for versions and to load them, in a thread of its own.

        Raises:
            StatusError: FAILED_PRECONDITION, a label is for a version that is not available, as none is yet.
        """
        labels = self._labels(self.models)
        self._take_over(self.models, labels, Wait(tuple(model.name for model in self.models), self.ready, "servable"))
        self._thread.start()

    def stop(self) -> None:
        """Ends the looking and loading, and every wait. What is loaded stays, for requests that still run."""
        self._send(self._end)

    def use(self, model: ModelSpec) -> Lease:
        """Takes an available version of a model, which stays loaded until it is given back.

        Raises:
            StatusError: NOT_FOUND, it is not available; INVALID_ARGUMENT, there is no such label, or no name.
        """
        return self._serving.use(model)

    def statuses(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """Returns the status of each version of a model that was seen, newest first, or of a certain one.

        Raises:
            StatusError: NOT_FOUND, there is none.
        """
        return self._registry.statuses(name, version)

    def reload(self, config: model_config_pb2.ModelServerConfig) -> None:
        """Replaces the configuration, and waits until the models that are new in it can be asked.

        What ``ServerCore::ReloadConfig`` does. For any thread but the event loop's, which can await what `replace`
        returns.

        Args:
            config: every model to serve from now on.

        Raises:
            StatusError: what `model_configs` refuses, and what `replace` fails with.
        """
        self.replace(model_configs(config, self.models)).result()

    def replace(self, models: tuple[ModelConfig, ...]) -> Future[None]:
        """Replaces the configuration, without waiting.

        Models that are no longer in it are unloaded, new ones loaded; of the others the versions are looked for anew,
        and the labels replaced. It is taken over as a whole or, if refused, not at all.

        Args:
            models: every model to serve from now on; names are unique.

        Returns:
            Done when each model that is new has a version available. Fails with StatusError: FAILED_PRECONDITION, a
            label is for a version that is not available; UNKNOWN, the configuration is in force and a model that is
            new could not be loaded; ABORTED, a later one is, without that model; CANCELLED, the manager was stopped.
        """
        done = _new_future()
        if not self._send(functools.partial(self._replace, models, done)):
            done.set_exception(_stopped())
        return done

    def _send(self, job: Callable[[], None]) -> bool:
        """Has the manager's thread do something, and returns whether it still does anything."""
        with self._end_lock:
            if not self._ended:
                self._inbox.put(job)
            return not self._ended

    # What follows runs in the manager's thread; what `start` does of it, before there is one.

    def _run(self) -> None:
        while not self._ended:
            try:
                self._step()
                due = min(self._next_poll, self._loader.next_due())
                self._do_next(None if due == float("inf") else max(0.0, due - time.monotonic()))
            except Exception as failure:  # whatever it is, the models that serve go on
                log.error(f"The manager met {type(failure).__name__}: {failure}")
                self._do_next(_BREATH_SECONDS)
        while not self._inbox.empty():
            self._do_next(0)

    def _do_next(self, seconds: float | None) -> None:
        """Does what was sent, or what is sent within some time."""
        try:
            job = self._inbox.get(timeout=seconds)
        except queue.Empty:
            return
        job()

    def _end(self) -> None:
        with self._end_lock:
            self._ended = True
        for wait in self._waits:
            wait.done.set_exception(_stopped())
        self._waits.clear()

    def _step(self) -> None:
        """Does all that is due."""
        if time.monotonic() >= self._next_poll:
            every = self._options.poll_seconds
            self._next_poll = time.monotonic() + every if every > 0 else float("inf")
            for model in self._registry.models.values():
                self._poll(model)
        for model in self._registry.models.values():
            self._follow_aspirations(model)
        self._loader.step()
        self._waits = [wait for wait in self._waits if not self._settle(wait)]

    def _poll(self, model: Model) -> None:
        """Looks which versions of a model are there, and decides which should serve."""
        found = {} if model.config is None else find_versions(model.config)
        if found is None:
            return
        model.aspired = found
        for version in model.versions.values():
            if version.number not in found:
                version.was_gone = True
                self._loader.cancel(version)

    def _follow_aspirations(self, model: Model) -> None:
        """Begins what should serve and does not, and ends what serves and should not."""
        for number, path in model.aspired.items():
            known = model.versions.get(number)
            if known is None or known.may_begin_again:
                self._registry.begin(model, number, path)
        for version in surplus(model):
            log.info(f"Quiescing servable version {version.id}")
            self._registry.move(version, State.UNLOADING)

    def _settle(self, wait: Wait) -> bool:
        """Tells somebody who waits, if there is something to tell, and returns whether there was."""
        if not wait.settle(self._registry.models):
            return False
        if wait.done is self.ready:
            self._loader.all_loaded()
        if wait.done.exception() is None:
            log.info("Finished adding/updating models")
        return True

    def _replace(self, models: tuple[ModelConfig, ...], done: Future[None]) -> None:
        """Takes over a configuration that was sent."""
        try:
            if self._ended:
                raise _stopped()
            labels = self._labels(models)
        except StatusError as failure:
            done.set_exception(failure)
            return
        old = {model.name for model in self.models}
        self._take_over(models, labels, Wait(tuple(m.name for m in models if m.name not in old), done, "model"))

    def _labels(self, models: Iterable[ModelConfig]) -> Labels:
        """Returns the labels of `models`.

        Raises:
            StatusError: FAILED_PRECONDITION, one is for a version that is not AVAILABLE, and is moved there or may
                not be.
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

    def _take_over(self, models: tuple[ModelConfig, ...], labels: Labels, wait: Wait) -> None:
        """Makes a configuration the one in force; its versions are looked for in the next step."""
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
            self._next_poll = 0.0


def _new_future() -> Future[None]:
    """Returns a future that whoever waits cannot cancel."""
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()
    return future


def _stopped() -> StatusError:
    return StatusError(Code.CANCELLED, "The server was told to end")

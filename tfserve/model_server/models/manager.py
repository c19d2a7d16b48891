"""The versions of each model: found under its base path, loaded, served, and unloaded when a newer one serves.

One thread does all of it, step by step, so that nothing here races with itself; requests only take and give back
servables. Sources: ``LoaderHarness`` and ``AvailabilityPreservingPolicy`` of TensorFlow Serving.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from tfserve.errors import TfserveError
from tfserve.model_server import log
from tfserve.model_server.models.version_source import find_versions
from tfserve.model_server.runtime.loading import load_servable
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.status import Code, StatusError, invalid_argument, not_found
from tfserve.protos.model_config_pb2 import ModelServerConfig

_DRAIN_POLL_SECONDS = 0.02


class State(IntEnum):
    """Where a version is in its life, with the numbers of ``ModelVersionStatus.State``."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


class ModelSpec(NamedTuple):
    """What a request asks: a model's newest version, or a certain one, by number or by label."""

    name: str
    version: int | None = None
    label: str | None = None


@dataclass(frozen=True)
class ModelConfig:
    """A model to serve: the newest version under `base_path`, as `name`."""

    name: str
    base_path: Path


@dataclass(frozen=True)
class ManagerOptions:
    """How versions are looked for and loaded.

    Attributes:
        poll_seconds: time between two looks at the file system; 0 looks once, negative never.
        max_retries: how often a failed load is tried again.
        retry_seconds: time between two tries; negative does not wait.
    """

    poll_seconds: float = 1
    max_retries: int = 5
    retry_seconds: float = 60


@dataclass(frozen=True)
class VersionStatus:
    """What the status API tells about a version; `code` is OK unless its load failed."""

    version: int
    state: State
    code: Code
    message: str


class _Version:
    """A version that was seen; `servable` is there from AVAILABLE until END."""

    def __init__(self, model: str, version: int, path: Path) -> None:
        self.version = version
        self.path = path
        self.state = State.START
        self.error: StatusError | None = None
        self.servable: Servable | None = None
        self.users = 0  # requests that run in it now
        self.failures = 0
        self.retry_at = 0.0
        self.was_gone = False  # and so may be tried again, if it comes back
        self.label = f"{{name: {model} version: {version}}}"

    def status(self) -> VersionStatus:
        if self.error is None:
            return VersionStatus(self.version, self.state, Code.OK, "")
        return VersionStatus(self.version, self.state, self.error.code, self.error.message)


class _Model:
    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        self.versions: dict[int, _Version] = {}
        self.aspired: frozenset[int] = frozenset()
        self.newest: _Version | None = None  # the newest version that is AVAILABLE

    def move(self, version: _Version, state: State) -> None:
        """Puts a version into another state."""
        version.state = state
        available = [found for found in self.versions.values() if found.state is State.AVAILABLE]
        self.newest = max(available, key=lambda found: found.version, default=None)


class Lease:
    """A servable that was taken from the manager; leaving the ``with`` block gives it back."""

    __slots__ = ("_lock", "_servable", "_version")

    def __init__(self, version: _Version, servable: Servable, lock: threading.Lock) -> None:
        self._version = version
        self._servable = servable
        self._lock = lock

    def __enter__(self) -> Servable:
        return self._servable

    def __exit__(self, *failure: object) -> None:
        with self._lock:
            self._version.users -= 1


class Manager:
    """Keeps the newest version of each model loaded, from `start` to `stop`.

    Args:
        models: what to serve; names are unique.
        options: when to look and to retry.
        load_options: how to load and run each version.

    Attributes:
        ready: done when every model has a version available; fails with StatusError UNKNOWN when one of them has
            none and its last load was given up.
    """

    def __init__(self, models: Iterable[ModelConfig], options: ManagerOptions, load_options: LoadOptions) -> None:
        self.ready: Future[None] = Future()
        self._options = options
        self._load_options = load_options
        self._models = {config.name: _Model(config) for config in models}
        self._lock = threading.Lock()  # over states, servables and users
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="manager", daemon=True)

    def start(self) -> None:
        """Begins to look for versions and to load them, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the looking and loading. What is loaded stays, for requests that still run."""
        self._stopping.set()

    def use(self, model: ModelSpec) -> Lease:
        """Takes an available version of a model, which stays loaded until it is given back.

        Raises:
            StatusError: NOT_FOUND, it is not available; INVALID_ARGUMENT, there is no such label.
        """
        name, version, label = model
        if label is not None:
            raise invalid_argument(f"Unrecognized servable version label: {label}")
        with self._lock:
            found = self._available(name, version)
            if found is None or found.servable is None:
                asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
                raise not_found(f"Servable not found for request: {asked}")
            found.users += 1
            return Lease(found, found.servable, self._lock)

    def reload(self, config: ModelServerConfig) -> None:
        """Takes over another configuration.

        Raises:
            StatusError: it cannot be taken over.
        """
        raise StatusError(Code.UNIMPLEMENTED, "The configuration of this server cannot be changed yet")

    def statuses(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """Returns the status of each version of a model that was ever seen, newest first, or of a certain one.

        Raises:
            StatusError: NOT_FOUND, there is none.
        """
        with self._lock:
            model = self._models.get(name)
            versions = dict(model.versions) if model else {}
            if version is not None:
                if version not in versions:
                    raise not_found(f"Could not find version {version} of model {name}")
                return [versions[version].status()]
            if not versions:
                raise not_found(f"Could not find any versions of model {name}")
            return [versions[number].status() for number in sorted(versions, reverse=True)]

    def _available(self, name: str, version: int | None) -> _Version | None:
        model = self._models.get(name)
        if model is None:
            return None
        if version is not None:
            found = model.versions.get(version)
            return found if found and found.state is State.AVAILABLE else None
        return model.newest

    def _run(self) -> None:
        next_poll = 0.0
        while not self._stopping.is_set():
            now = time.monotonic()
            poll = now >= next_poll and self._options.poll_seconds >= 0
            if poll:
                next_poll = now + self._options.poll_seconds if self._options.poll_seconds > 0 else float("inf")
            for model in self._models.values():
                if poll:
                    self._poll(model)
                self._load_due(model)
                self._unload(model)
            self._tell_ready()
            self._stopping.wait(self._seconds_until(next_poll))

    def _seconds_until(self, next_poll: float) -> float | None:
        """Returns how long nothing will be due."""
        versions = [version for model in self._models.values() for version in model.versions.values()]
        if any(version.state is State.UNLOADING for version in versions):
            return _DRAIN_POLL_SECONDS
        retries = [version.retry_at for version in versions if version.state is State.LOADING]
        due = min([next_poll, *retries])
        return None if due == float("inf") else max(0.0, due - time.monotonic())

    def _poll(self, model: _Model) -> None:
        """Looks which versions are there, and decides which one should serve."""
        name = model.config.name
        children = find_versions(name, model.config.base_path)
        if children is None:
            return
        aspired = frozenset(sorted(children)[-1:])
        with self._lock:
            model.aspired = aspired
            for version in aspired:
                known = model.versions.get(version)
                if known is None or (known.state is State.END and (known.error is None or known.was_gone)):
                    model.versions[version] = _Version(name, version, children[version])
            for known in model.versions.values():
                if known.version not in aspired and known.state in (State.START, State.LOADING):
                    model.move(known, State.END)
                    known.error = StatusError(Code.CANCELLED, "Loading of servable cancelled")
                known.was_gone = known.version not in aspired

    def _load_due(self, model: _Model) -> None:
        for version in list(model.versions.values()):
            if version.state is State.START:
                log.info(f"Loading servable version {version.label}")
                with self._lock:
                    model.move(version, State.LOADING)
            if version.state is State.LOADING and time.monotonic() >= version.retry_at:
                self._try_to_load(model, version)

    def _try_to_load(self, model: _Model, version: _Version) -> None:
        doing = f"Loading servable: {version.label}"
        if version.failures:
            log.info(f"Retrying of {doing} retry: {version.failures}")
        try:
            servable = load_servable(model.config.name, version.version, version.path, self._load_options)
        except StatusError as failure:
            self._note_failure(model, version, failure, doing)
            return
        except (TfserveError, MemoryError, OSError) as failure:
            self._note_failure(model, version, StatusError(Code.INTERNAL, str(failure)), doing)
            return
        with self._lock:
            version.servable = servable
            model.move(version, State.AVAILABLE)
        log.info(f"Successfully loaded servable version {version.label}")

    def _note_failure(self, model: _Model, version: _Version, failure: StatusError, doing: str) -> None:
        log.error(f"{doing} failed: {failure}")
        version.failures += 1
        if version.failures <= self._options.max_retries:
            version.retry_at = time.monotonic() + max(0.0, self._options.retry_seconds)
            return
        log.info(f"Retrying of {doing} exhausted max_num_retries: {self._options.max_retries}")
        with self._lock:
            version.error = failure
            model.move(version, State.END)
        log.info(f"Encountered an error for servable version {version.label}: {failure}")
        log.error(f"Servable {version.label} cannot be loaded: {failure}")

    def _unload(self, model: _Model) -> None:
        """Unloads what should not serve any more, once what should serve does, and once no request is in it."""
        with self._lock:
            serving = [version for version in model.versions.values() if version.state is State.AVAILABLE]
            aspired_serves = any(version.version in model.aspired for version in serving)
            if aspired_serves or not model.aspired:
                for version in serving:
                    if version.version not in model.aspired:
                        model.move(version, State.UNLOADING)
                        log.info(f"Quiescing servable version {version.label}")
            drained = [
                version
                for version in model.versions.values()
                if version.state is State.UNLOADING and version.users == 0
            ]
        for version in drained:
            log.info(f"Unloading just-loaded servable version {version.label}")
            if version.servable is not None:
                version.servable.close()
            with self._lock:
                version.servable = None
                model.move(version, State.END)
            log.info(f"Done unloading servable version {version.label}")

    def _tell_ready(self) -> None:
        """Settles `ready` once it is known whether every model serves."""
        if self.ready.done():
            return
        failed: list[str] = []
        for model in self._models.values():
            versions = list(model.versions.values())
            if any(version.state is State.AVAILABLE for version in versions):
                continue
            if not versions or any(version.state is not State.END for version in versions):
                return
            newest = max(versions, key=lambda version: version.version)
            failed.append(f"{{{newest.label} due to error: {newest.error}}}, ")
        if failed:
            message = f"{len(failed)} servable(s) did not become available: {{{''.join(failed)}}}"
            self.ready.set_exception(StatusError(Code.UNKNOWN, message))
        else:
            self.ready.set_result(None)

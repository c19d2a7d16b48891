"""Builds an image from a Dockerfile, and leaves no trace of a build that fails or is interrupted."""

from __future__ import annotations

import errno
import os
import queue
import re
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfserve.engines.docker.client import docker_errors, explanation
from tfserve.engines.docker.images import disk_full, name_image
from tfserve.errors import ImageError, TfserveError, UsageError, reason
from tfserve.images.build_context import Parcel
from tfserve.images.build_log import BuildLog
from tfserve.images.build_spec import BuildStep
from tfserve.interrupts import interrupts_deferred
from tfserve.plan import labels
from tfserve.text import printable

if TYPE_CHECKING:
    from docker import APIClient
    from requests import Response

__all__ = ["build_image"]

_END_SECONDS = 20.0
_KILL_AGAIN_SECONDS = 0.1
_SHOWN_CHARACTERS = 200
_KILLED = 128 + signal.SIGKILL
_KILLED_WORDS = re.compile(r"\bKilled\b|Server terminated abruptly")  # a compiler was, or Bazel itself
_NO_COMMAND = 127  # what a shell says


def build_image(client: APIClient, source: Path, step: BuildStep, on_line: Callable[[str], None]) -> None:
    """Builds `step`, and gives the image its name, which it takes from another if need be.

    Args:
        client: the engine.
        source: the directory that the Dockerfile may copy from.
        step: what to build.
        on_line: called for every line of the build's log.

    Raises:
        ImageError: a step of it failed.
        UsageError: the Dockerfile, or what is beside it, cannot be read.
    """
    build = _Build(client, source, step)
    try:
        for event in build.events():
            for line in build.log.feed(event):
                on_line(line)
        if build.log.image is None or build.log.error is not None:
            raise _failed(step, build.log)
        with interrupts_deferred(), docker_errors():
            name_image(client, build.log.image, step.image)
    except BaseException:
        with interrupts_deferred(), suppress(TfserveError), docker_errors():
            build.stop()
            build.remove_images()
        raise


class _Build:
    """One build, whose events come from a thread of its own: so they still come while it is being stopped."""

    def __init__(self, client: APIClient, source: Path, step: BuildStep) -> None:
        self.log = BuildLog()
        self._client = client
        self._source = source
        self._step = step
        self._responses: list[Response] = []
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._error: BaseException | None = None
        self._parcel = Parcel()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def events(self, seconds: float | None = None) -> Iterator[dict[str, Any]]:
        """Yields what the engine says until the build ends, or for so many `seconds` says nothing."""
        with suppress(queue.Empty):
            while (event := self._events.get(timeout=seconds)) is not None:
                yield event
            self._events.put(None)  # for whoever asks once more
            if self._error is not None:
                raise self._error

    def stop(self) -> None:
        """Ends a build that still runs, or is yet to begin, and waits for its end."""
        self._parcel.stop()
        deadline = time.monotonic() + _END_SECONDS
        self._drain(0.0)
        # Who hangs up does not learn any more what the step made that goes on; fetching an image makes nothing.
        while self._thread.is_alive() and not self.log.fetching and time.monotonic() < deadline:
            self._kill()
            self._drain(_KILL_AGAIN_SECONDS)
        for response in self._responses:
            response.close()
        self._drain(_KILL_AGAIN_SECONDS)

    def remove_images(self) -> None:
        """Removes what the build made, as far as it has no name and nobody uses it."""
        import docker.errors

        for image in reversed(self.log.made):
            with suppress(docker.errors.APIError):
                if not self._client.inspect_image(image)["RepoTags"]:
                    self._client.remove_image(image, noprune=True)

    def _drain(self, seconds: float) -> None:
        with suppress(Exception):  # it is known by now that it does not go well
            for event in self.events(seconds):
                for _ in self.log.feed(event):
                    pass

    def _kill(self) -> None:
        """Ends the command that runs, and the build with it; the engine itself removes what is left of them."""
        import docker.errors

        if self.log.running is not None:
            with suppress(docker.errors.APIError):  # it does not run yet, or not any more
                self._client.kill(self.log.running)

    def _read(self) -> None:
        try:
            with _build_errors(self._step), self._remembering_responses():
                self._parcel.pack(self._source, self._step.dockerfile)
                events = self._client.build(
                    fileobj=self._parcel,
                    custom_context=True,
                    dockerfile=self._step.dockerfile,
                    buildargs=dict(self._step.arguments),
                    pull=self._step.pull,
                    labels={labels.BUILT: self._step.kind},
                    rm=True,
                    forcerm=True,
                    decode=True,
                )
                for event in events:
                    self._events.put(event)
        except BaseException as error:  # raised again by whoever reads the events
            self._error = error
        self._events.put(None)

    @contextmanager
    def _remembering_responses(self) -> Iterator[None]:
        """Keeps the engine's answers, as only who has one can hang up."""

        def remember(response: Response, *_: object, **__: object) -> None:
            self._responses.append(response)

        self._client.hooks["response"].append(remember)
        try:
            yield
        finally:
            self._client.hooks["response"].remove(remember)


def _failed(step: BuildStep, log: BuildLog) -> ImageError:
    error = log.error or "the engine ended it without an image"
    if "no space left" in error.lower() or any("No space left on device" in line for line in log.tail):
        return disk_full(f"{step.image} was not built", error)
    code = "" if log.code is None else f", with code {log.code}"
    return ImageError(
        f"Step {log.step} of {step.dockerfile} failed{code}: {printable(log.instruction, limit=_SHOWN_CHARACTERS)}",
        hint=_hint(log),
        details=error if log.code is None else None,  # what a command said is told already
    )


def _hint(log: BuildLog) -> str:
    """What to do about a step that failed."""
    if log.code == _KILLED or any(_KILLED_WORDS.search(line) for line in log.tail):
        return "What it said is above. Something was killed, as is what needs more memory than there is: --ram 2048"
    if log.code == _NO_COMMAND:
        return "What it said is above: the image has no such command at that step."
    if log.code is not None:
        return "What it said is above."
    match log.instruction.partition(" ")[0].upper():
        case "FROM":
            return "See whether the engine can have that image: docker pull IMAGE, after docker login if it is private."
        case "COPY" | "ADD":
            return "See whether that is there, and whether a .dockerignore file leaves it out."
    return "See that line of the Dockerfile."


@contextmanager
def _build_errors(step: BuildStep) -> Iterator[None]:
    import docker.errors

    try:
        with docker_errors():
            try:
                yield
            except docker.errors.APIError as error:
                text = explanation(error)
                if "no space left" in text.lower():
                    raise disk_full(f"{step.image} was not built", text) from error
                raise UsageError(
                    f"{step.dockerfile} cannot be built.", hint="See the line that it names.", details=text
                ) from error
    except (OSError, docker.errors.DockerException) as error:
        if reason(error) == os.strerror(errno.ENOSPC):  # on this machine's disk, not the engine's
            raise TfserveError(
                f"There is no room here to pack the sources for the engine: {tempfile.gettempdir()} is full.",
                hint="Name a directory with room (TMPDIR), or what is not to be packed in a .dockerignore file.",
            ) from error
        raise UsageError(
            f"The sources cannot be read: {error}.", hint="Name what is not to be read in a .dockerignore file."
        ) from error

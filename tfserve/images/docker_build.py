"""Builds an image from a Dockerfile, and removes everything that a failed or interrupted build leaves behind.

It uses the classic builder, although the docker command prefers BuildKit. The Docker SDK cannot drive BuildKit, whose
clients speak gRPC with sessions; the alternative, `docker buildx build`, needs the docker command and a plugin, which
tfserve works without. The Dockerfiles of TensorFlow Serving use no feature of BuildKit, and every engine, as
well as Podman, serves the classic endpoint of the API.
https://docs.docker.com/reference/api/engine/version/v1.48/#tag/Image/operation/ImageBuild
"""

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
from tfserve.images.build_context import BuildContext
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
_MAX_EVENTS = 10_000  # that have not been shown yet
_KILLED = 128 + signal.SIGKILL
_KILLED_WORDS = re.compile(r"\bKilled\b|Server terminated abruptly")  # of a compiler, or of Bazel itself
_OUTPUT_ABOVE = "The output of the command is above."
_NO_COMMAND = 127  # the exit code of a shell


def build_image(client: APIClient, source: Path, step: BuildStep, on_line: Callable[[str], None]) -> None:
    """Builds `step` and names the image, taking the name from another image if necessary.

    Args:
        client: the connection to the engine.
        source: the directory with the files that the Dockerfile copies.
        step: the step to build.
        on_line: called for each line of the build's log.

    Raises:
        ImageError: an instruction of the Dockerfile failed.
        UsageError: the Dockerfile or the sources cannot be read.
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
    """A build in its own thread, so that its events can still be read while it is being stopped."""

    def __init__(self, client: APIClient, source: Path, step: BuildStep) -> None:
        self.log = BuildLog()
        self._client = client
        self._source = source
        self._step = step
        self._responses: list[Response] = []
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue(_MAX_EVENTS)
        self._error: BaseException | None = None
        self._context = BuildContext()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def events(self, seconds: float | None = None) -> Iterator[dict[str, Any]]:
        """Yields the events of the build until it ends, or until no event arrives for this many `seconds`."""
        with suppress(queue.Empty):
            while (event := self._events.get(timeout=seconds)) is not None:
                yield event
            self._events.put(None)  # for the next call
            if self._error is not None:
                raise self._error

    def stop(self) -> None:
        """Stops the build, whether it is running or has not started yet, and waits until it has ended."""
        self._context.stop()
        deadline = time.monotonic() + _END_SECONDS
        self._drain(0.0)
        # Once the connection is closed, the result of the current step is unknown; only pulling an image has none.
        while self._thread.is_alive() and not self.log.fetching and time.monotonic() < deadline:
            self._kill()
            self._drain(_KILL_AGAIN_SECONDS)
        for response in self._responses:
            response.close()
        self._drain(_KILL_AGAIN_SECONDS)

    def remove_images(self) -> None:
        """Removes the images that the build created, unless they have a name or are in use."""
        import docker.errors

        for image in reversed(self.log.made):
            with suppress(docker.errors.APIError):
                if not self._client.inspect_image(image)["RepoTags"]:
                    self._client.remove_image(image, noprune=True)

    def _drain(self, seconds: float) -> None:
        with suppress(Exception):  # the build has already failed
            for event in self.events(seconds):
                for _ in self.log.feed(event):
                    pass

    def _kill(self) -> None:
        """Kills the running command, and so the build; the engine then removes their containers."""
        import docker.errors

        if self.log.running is not None:
            with suppress(docker.errors.APIError):  # it has not started yet, or has already ended
                self._client.kill(self.log.running)

    def _read(self) -> None:
        try:
            with _source_errors():
                self._context.pack(self._source, self._step.dockerfile)
            with _source_errors(), _build_errors(self._step), self._recorded_responses():
                events = self._client.build(
                    fileobj=self._context,
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
                    if not isinstance(event, dict):
                        raise TypeError("an event is not an object")
                    self._events.put(event)
        except BaseException as error:  # raised again in the thread that reads the events
            self._error = error
        self._events.put(None)

    @contextmanager
    def _recorded_responses(self) -> Iterator[None]:
        """Keeps the responses of the engine, so that `stop` can close their connections."""

        def record(response: Response, *_: object, **__: object) -> None:
            self._responses.append(response)

        self._client.hooks["response"].append(record)
        try:
            yield
        finally:
            self._client.hooks["response"].remove(record)


def _failed(step: BuildStep, log: BuildLog) -> ImageError:
    error = log.error or "the engine reported no image"
    if "no space left" in error.lower() or any("No space left on device" in line for line in log.tail):
        return disk_full(f"{step.image} was not built", error)
    code = "" if log.code is None else f" with exit code {log.code}"
    return ImageError(
        f"Step {log.step} of {step.dockerfile} failed{code}: {printable(log.instruction, limit=_SHOWN_CHARACTERS)}",
        hint=_hint(log),
        details=error if log.code is None else None,  # the output of the command is already shown
    )


def _hint(log: BuildLog) -> str:
    """Returns what to do about a failed step."""
    if log.code == _KILLED or any(_KILLED_WORDS.search(line) for line in log.tail):
        return f"{_OUTPUT_ABOVE} A process was killed, probably because memory ran out; try --ram 2048"
    if log.code == _NO_COMMAND:
        return f"{_OUTPUT_ABOVE} The image does not contain that command at this step."
    if log.code is not None:
        return _OUTPUT_ABOVE
    match log.instruction.partition(" ")[0].upper():
        case "FROM":
            return (
                "Check that the engine can pull that image: docker pull IMAGE (for a private image, docker login first)"
            )
        case "COPY" | "ADD":
            return "Check that the file exists, and that .dockerignore does not exclude it."
    return "Check that line of the Dockerfile."


@contextmanager
def _build_errors(step: BuildStep) -> Iterator[None]:
    """Explains why the engine refused to begin a build."""
    import docker.errors

    with docker_errors():
        try:
            yield
        except docker.errors.APIError as error:
            text = explanation(error)
            if "no space left" in text.lower():
                raise disk_full(f"{step.image} was not built", text) from error
            raise UsageError(
                f"{step.dockerfile} cannot be built.", hint="Check the line named in the details.", details=text
            ) from error


@contextmanager
def _source_errors() -> Iterator[None]:
    """Explains errors of the system while the sources are packed, or read to be sent."""
    import docker.errors

    try:
        yield
    except (OSError, docker.errors.DockerException) as error:
        if reason(error) == os.strerror(errno.ENOSPC):  # on the local disk, not the engine's
            raise TfserveError(
                f"The sources cannot be packed for the engine: {tempfile.gettempdir()} is full.",
                hint="Choose another directory with TMPDIR, or exclude files with a .dockerignore file.",
            ) from error
        raise UsageError(
            f"The sources cannot be read: {error}.", hint="Exclude what cannot be read with a .dockerignore file."
        ) from error

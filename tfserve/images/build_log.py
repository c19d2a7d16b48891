"""Reads the events of a build on a Docker Engine, and records what is needed to report errors and clean up."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["BuildLog"]

_STEP = re.compile(r"step (\d+/\d+) ?: (.*)", re.IGNORECASE | re.DOTALL)
_RUNNING = re.compile(r" ---> Running in ([0-9a-f]+)\s*")
_IMAGE = re.compile(r" ---> ([0-9a-f]{12,64})\s*")
_CACHED = " ---> Using cache"
_OVER = "Removing intermediate container "
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_LINES_KEPT = 15
_MAX_LINE = 2**16


class BuildLog:
    """The progress of one build.

    Attributes:
        step: the current step, such as ``2/5``.
        instruction: the line of the Dockerfile for that step.
        made: the ids of the images that the build created, oldest first, without those from the build cache.
        running: the id of the container that is running; None if there is none.
        fetching: whether the base image is being pulled.
        image: the id of the resulting image.
        error: the error message; None if there is no error.
        code: the exit code of the command that failed.
        tail: the last lines of output of the current step.
    """

    def __init__(self) -> None:
        self.step = ""
        self.instruction = ""
        self.made: list[str] = []
        self.running: str | None = None
        self.fetching = False
        self.image: str | None = None
        self.error: str | None = None
        self.code: int | None = None
        self.tail: deque[str] = deque(maxlen=_LINES_KEPT)
        self._cached = False
        self._rest = ""

    def feed(self, event: Mapping[str, Any]) -> Iterator[str]:
        """Records an event, and yields the lines that it completes, without escape sequences."""
        self.fetching = "status" in event
        if "error" in event:
            yield from self._lines("\n")
            self.error = str(event["error"])
            detail = event.get("errorDetail")
            code = detail.get("code") if isinstance(detail, dict) else None
            self.code = code if isinstance(code, int) else None
        elif isinstance(event.get("aux"), dict):
            image = event["aux"].get("ID")
            self.image = image if isinstance(image, str) else self.image
        elif "stream" in event:
            output = self.running is not None
            for line in self._lines(self._note(str(event["stream"]))):
                if output:
                    self.tail.append(line)
                yield line

    def _note(self, text: str) -> str:
        """Records a message of the engine and returns the part to show; output of a command is returned unchanged."""
        if self.running is not None:
            # Everything else is output of the command, which can look like any message.
            if not text.startswith(_OVER + self.running):
                return text
            self.running = None
        elif step := _STEP.fullmatch(text):
            self.step, self.instruction = step[1], step[2].strip()
            self.tail.clear()
            self._cached = self.instruction[:5].upper() == "FROM "
            return f"\n{text}"
        elif running := _RUNNING.fullmatch(text):
            self.running = running[1]
        elif image := _IMAGE.fullmatch(text):
            self.made += [] if self._cached else [image[1]]
        elif text.startswith(_CACHED):
            self._cached = True
        else:
            return text
        return "\n"

    def _lines(self, text: str) -> Iterator[str]:
        *lines, self._rest = re.split(r"[\r\n]", self._rest + text)
        if len(self._rest) > _MAX_LINE:
            lines, self._rest = [*lines, self._rest], ""
        for line in lines:
            shown = _ESCAPES.sub("", line).rstrip()
            if shown:
                yield shown

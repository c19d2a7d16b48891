"""Reads what a Docker Engine says while it builds an image, event by event, and keeps what is needed to clean up."""

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


class BuildLog:
    """The story of one build so far.

    Attributes:
        step: the step it is at, such as ``2/5``.
        instruction: that step's line of the Dockerfile.
        made: the ids of the images that it has made, oldest first; what it found in the cache is not its own.
        running: the container that runs now; None for none.
        fetching: whether it fetches an image to begin with.
        image: the id of what it came to.
        error: what went wrong; None as long as nothing has.
        code: the exit code of the command that failed.
        tail: the last lines of the step's output.
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
        """Notes an event, and yields the lines that are complete with it, without colours and the like."""
        self.fetching = "status" in event
        if "error" in event:
            yield from self._lines("\n")
            self.error = str(event["error"])
            self.code = (event.get("errorDetail") or {}).get("code")
        elif isinstance(event.get("aux"), dict):
            self.image = event["aux"].get("ID", self.image)
        elif "stream" in event:
            output = self.running is not None
            for line in self._lines(self._note(str(event["stream"]))):
                if output:
                    self.tail.append(line)
                yield line

    def _note(self, text: str) -> str:
        """Notes what the engine says itself, and returns what is to be shown of it; of a command's output, all."""
        if self.running is not None:
            # Everything else is what runs there, and may look like anything.
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
        for line in lines:
            shown = _ESCAPES.sub("", line).rstrip()
            if shown:
                yield shown

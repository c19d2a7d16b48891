"""A pseudo-terminal, for commands that are used interactively, such as a shell in a development container."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from typing import Any

from .conftest import Tfserve


class Terminal:
    """A terminal on which ``tfserve`` runs."""

    def __init__(self, tfserve: Tfserve, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self._controller, self._terminal = pty.openpty()
        self.resize(33, 77)
        self.settings = self.read_settings()
        self._unread = ""
        variables = {**tfserve.environment, **(env or {})}
        for name in ("COLUMNS", "LINES"):  # pytest-xdist sets them, and they would override the size of the terminal
            variables.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tfserve", *arguments],
            stdin=self._terminal,
            stdout=self._terminal,
            stderr=self._terminal,
            env=variables,
            cwd=tfserve.directory,
        )

    def resize(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))

    def read_settings(self) -> list[Any]:
        return list(termios.tcgetattr(self._terminal))

    def type(self, keys: bytes) -> None:
        os.write(self._controller, keys)

    def wait_for(self, text: str, seconds: float = 120) -> str:
        """Reads until `text` appears, and returns what comes before it."""
        deadline = time.monotonic() + seconds
        while text not in self._unread:
            readable, _, _ = select.select([self._controller], [], [], max(0, deadline - time.monotonic()))
            assert readable, f"{text!r} did not appear within {seconds:g} s, but {self._unread!r}"
            self._unread += os.read(self._controller, 4096).decode(errors="replace")
        before, _, self._unread = self._unread.partition(text)
        return before

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)
        os.close(self._terminal)
        os.close(self._controller)

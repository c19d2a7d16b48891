"""Programs left running in the background: started detached, known by a pid file, ended by pid and nothing else.

A pid alone proves nothing (it may have been given to another program since), so a process counts as ours only while its
command line contains a mark that no other program has.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .problem import EngineUnavailableError


def command_line(pid: int) -> str:
    """The command line of a process, or "" when it is gone or already dead (a zombie has none)."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def processes_marked(mark: str) -> Iterator[int]:
    """The pids of all other processes whose command line contains `mark`."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and mark in command_line(int(entry.name)):
            yield int(entry.name)


def parent_of(pid: int) -> int:
    """The parent's pid, or 0 when the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


@dataclass(frozen=True)
class Background:
    """A program of ours: `directory` has its `<name>.pid` and `<name>.log`, its command line contains `mark`."""

    name: str
    directory: Path
    mark: str

    @property
    def log(self) -> Path:
        return self.directory / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        return self.directory / f"{self.name}.pid"

    def pid(self) -> int | None:
        """Its pid while it runs, else None."""
        try:
            pid = int(self.pid_file.read_text())
        except (OSError, ValueError):
            return None
        return pid if self.mark in command_line(pid) else None

    def start(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Starts the program in a session of its own; its output goes to the log, which starts afresh."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=env,
                start_new_session=True,
            )
        while self.mark not in command_line(process.pid) and process.poll() is None:
            time.sleep(0.001)  # the command line shows a moment after the start
        self.pid_file.write_text(f"{process.pid}\n")
        _children.append(process)

    def wait_until(self, answers: Callable[[], bool], seconds: float) -> None:
        """Waits until the program answers; raises with the end of its log when it ends first or takes too long."""
        deadline = time.monotonic() + seconds
        while not answers():
            if self.pid() is None:
                raise EngineUnavailableError(f"{self.name} ended at once: {self.last_words()} (its log: {self.log})")
            if time.monotonic() > deadline:
                raise EngineUnavailableError(f"{self.name} does not answer after {seconds:.0f} s (its log: {self.log})")
            time.sleep(0.05)

    def last_words(self) -> str:
        """The last line of the log."""
        lines = self.log.read_text(errors="replace").split("\n") if self.log.exists() else []
        return next((line.strip() for line in reversed(lines) if line.strip()), "it wrote nothing")

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the program if it runs."""
        if (pid := self.pid()) is not None:
            os.kill(pid, number)

    def stop(self, seconds: float) -> bool:
        """Ends the program: politely, then, after `seconds`, by force. True when it was running."""
        was_running = self.pid() is not None
        self.signal(signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while self.pid() is not None:
            if time.monotonic() > deadline:
                self.signal(signal.SIGKILL)
            time.sleep(0.05)
        self.pid_file.unlink(missing_ok=True)
        return was_running


_children: list[subprocess.Popen[bytes]] = []  # kept, so that Python reaps those that end while it still runs

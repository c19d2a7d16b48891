"""Background programs: started in a session of their own, recorded in a pid file, and stopped by that pid only.

The system may reuse a pid for another program. A process is therefore only recognized while its command line contains
a mark that no other program has.
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
    """The command line of a process, or "" if it has exited."""
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
    """The pid of the parent, or 0 if the process has exited."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


@dataclass(frozen=True)
class Background:
    """A background program. `directory` contains `<name>.pid` and `<name>.log`; the command line contains `mark`."""

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
        """The pid if the program is running, else None."""
        try:
            pid = int(self.pid_file.read_text())
        except (OSError, ValueError):
            return None
        return pid if self.mark in command_line(pid) else None

    def start(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Starts the program in a session of its own, with its output in an empty log."""
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
            time.sleep(0.001)  # the command line appears shortly after the start
        self.pid_file.write_text(f"{process.pid}\n")
        _children.append(process)

    def wait_until(self, answers: Callable[[], bool], seconds: float) -> None:
        """Waits until the program answers; raises an error with the end of its log if it exits or takes too long."""
        deadline = time.monotonic() + seconds
        while not answers():
            if self.pid() is None:
                raise EngineUnavailableError(f"{self.name} exited immediately: {self.last_line()} (log: {self.log})")
            if time.monotonic() > deadline:
                raise EngineUnavailableError(f"{self.name} does not answer after {seconds:.0f} s (log: {self.log})")
            time.sleep(0.05)

    def last_line(self) -> str:
        """The last line of the log."""
        lines = self.log.read_text(errors="replace").split("\n") if self.log.exists() else []
        return next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the program if it is running."""
        if (pid := self.pid()) is not None:
            os.kill(pid, number)

    def stop(self, seconds: float) -> bool:
        """Stops the program, and kills it after `seconds`. Returns whether it was running."""
        was_running = self.pid() is not None
        self.signal(signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while self.pid() is not None:
            if time.monotonic() > deadline:
                self.signal(signal.SIGKILL)
            time.sleep(0.05)
        self.pid_file.unlink(missing_ok=True)
        return was_running


_children: list[subprocess.Popen[bytes]] = []  # a reference, so that Python reaps those that exit before it does

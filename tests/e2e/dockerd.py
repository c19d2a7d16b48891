"""A Docker Engine of the tests: one `dockerd` in the background, configured by one JSON file, and its complete removal.

It shares no data, sockets or containerd with any other engine, so that several can run on one machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .background import Background, command_line, parent_of, processes_marked


@dataclass(frozen=True)
class Dockerd:
    """One daemon.

    Attributes:
        data: the directory of its images and its log.
        run: the directory of its sockets, which is deleted at a reboot. Socket paths must be short.
        socket: where it listens.
        options: more settings of its configuration file.
        path: directories that it searches for programs before PATH.
        disk: a size such as 48m; its images are then on a new file system of this size, in memory.
    """

    data: Path
    run: Path
    socket: Path
    options: Mapping[str, object] = field(default_factory=dict)
    path: str = ""
    disk: str | None = None

    @property
    def host(self) -> str:
        return f"unix://{self.socket}"

    @property
    def store(self) -> Path:
        """The directory of its images and containers."""
        return self.data / "docker"

    @property
    def program(self) -> Background:
        return Background("dockerd", self.data, mark=str(self._config))

    @property
    def _config(self) -> Path:
        return self.data / "dockerd.json"

    def pid(self) -> int | None:
        return self.program.pid()

    def start(self, mirror: str) -> None:
        """Starts the daemon with a mirror of Docker Hub, and waits until it answers."""
        self._kill_orphans()
        self.data.mkdir(parents=True, exist_ok=True)
        self.run.mkdir(parents=True, exist_ok=True)
        if self.disk is not None:
            self.store.mkdir(exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.disk}", "tmpfs", self.store], check=True)
        pid_file = self.run / "docker.pid"
        pid_file.unlink(missing_ok=True)
        options = {
            "hosts": [self.host],
            "data-root": str(self.store),
            "exec-root": str(self.run / "exec"),
            "pidfile": str(pid_file),
            "registry-mirrors": [mirror],
            "shutdown-timeout": 5,
            **self.options,
        }
        self._config.write_text(json.dumps(options, indent=2) + "\n")
        path = os.pathsep.join(filter(None, (self.path, os.environ["PATH"])))
        self.program.start(["dockerd", f"--config-file={self._config}"], {**os.environ, "PATH": path})
        self.program.wait_until(lambda: answers(self.host), 60)

    def uses_mirror(self, mirror: str) -> bool:
        return mirror in self._config.read_text() if self._config.exists() else False

    def kill(self) -> None:
        """Kills the daemon as a crash would; its containers keep running. `stop` cleans up afterwards."""
        self.program.signal(signal.SIGKILL)

    def stop(self) -> bool:
        """Stops the daemon and its containers, also after a crash. Returns whether it was running."""
        was_running = self.program.stop(20)
        self._kill_orphans()
        return was_running

    def remove(self) -> None:
        """Stops the daemon and deletes everything that it stored."""
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.run, ignore_errors=True)

    def _kill_orphans(self) -> None:
        if self.pid() is not None:
            return
        mark = f"{self.run}/exec/"  # part of the address with which containerd and its shims were started
        shims = {pid for pid in processes_marked(mark) if "containerd-shim" in command_line(pid)}
        for pid in _children_of(shims):
            _kill(pid)
        for pid in processes_marked(mark):
            _kill(pid)
        deadline = time.monotonic() + 5
        while any(True for _ in processes_marked(mark)) and time.monotonic() < deadline:
            time.sleep(0.05)
        for mount in _mounts_below(self.data, self.run):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
        shutil.rmtree(self.run / "exec", ignore_errors=True)


def answers(host: str) -> bool:
    """Whether a Docker Engine answers at `host`."""
    import docker
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        client = docker.DockerClient(base_url=host, timeout=10)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except (DockerException, RequestException, OSError):
        return False


def _children_of(parents: set[int]) -> list[int]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if parent_of(pid) in parents]


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it may have exited since it was listed
        os.kill(pid, signal.SIGKILL)


def _mounts_below(*directories: Path) -> list[str]:
    """The mount points below these directories, innermost first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    ours = [point for point in points if any(point.startswith(f"{directory}/") for directory in directories)]
    return sorted(ours, key=len, reverse=True)

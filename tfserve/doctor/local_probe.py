"""What serves without a container, and its version; the program is asked for it, and ended when it does not answer."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress

from tfserve.doctor.bounded import Bounded
from tfserve.doctor.facts import LocalRuntime
from tfserve.engines.local.runtime import OFFICIAL, missing

__all__ = ["LocalLook"]

_VERSION = re.compile(rb"^TensorFlow ModelServer: (.*\S)", re.MULTILINE)  # main.cc of tensorflow/serving


class LocalLook:
    """A look at what serves without a container, which goes on while others do something else.

    Args:
        seconds: how long it may take, from now on.
    """

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._official = shutil.which(OFFICIAL)
        self._own = None if self._official else Bounded(_own_runtime, seconds)
        self._process: subprocess.Popen[bytes] | None = None
        self._error = ""
        if self._official:
            try:
                self._process = subprocess.Popen(
                    [self._official, "--version"],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
            except OSError as error:  # such as one for another CPU
                self._error = str(error.strerror)

    def runtime(self) -> LocalRuntime:
        """Returns what was found; waits for it, but no longer than it may take."""
        if self._own is not None:
            try:
                return self._own.result()
            except TimeoutError as error:
                return LocalRuntime(None, broken=f"Python's packages cannot be read: {error}.")
        return self._said_by(self._process) if self._process else self._broken(self._error)

    def _said_by(self, process: subprocess.Popen[bytes]) -> LocalRuntime:
        try:
            output, _ = process.communicate(timeout=max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            if process.stdout is not None:  # which what it started may hold open
                process.stdout.close()
            return self._broken("it does not say its version")
        if version := _VERSION.search(output):
            return LocalRuntime(f"TensorFlow ModelServer {version[1].decode(errors='replace')}, {self._official}")
        if process.returncode < 0:
            return self._broken(signal.strsignal(-process.returncode) or f"signal {-process.returncode}")
        if process.returncode > 0:
            lines = output.decode(errors="replace").split("\n")
            return self._broken(next((line for line in reversed(lines) if line.strip()), f"code {process.returncode}"))
        return LocalRuntime(self._official)

    def _broken(self, why: str) -> LocalRuntime:
        return LocalRuntime(None, broken=f"{self._official} does not run here: {why.strip().rstrip('.')}.")


def _own_runtime() -> LocalRuntime:
    from importlib.metadata import PackageNotFoundError, version

    if lacks := missing():
        return LocalRuntime(None, ", ".join(lacks))
    for package in ("tensorflow-cpu", "tensorflow"):
        with suppress(PackageNotFoundError):
            return LocalRuntime(f"TensorFlow {version(package)}")
    return LocalRuntime("TensorFlow")

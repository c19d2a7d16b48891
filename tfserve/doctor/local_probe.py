"""Finds the model server that runs without a container, and its version; a program that hangs is killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from concurrent.futures import TimeoutError as FutureTimeoutError  # the built-in one from Python 3.11 on
from contextlib import suppress

from tfserve.doctor.background import in_background
from tfserve.doctor.facts import LocalRuntime
from tfserve.engines.local.runtime import OFFICIAL, missing
from tfserve.host.programs import find_program
from tfserve.host.search_paths import NEUTRAL_DIRECTORY, safe_environment

__all__ = ["LocalProbe"]

_VERSION = re.compile(rb"^TensorFlow ModelServer: (.*\S)", re.MULTILINE)  # main.cc of tensorflow/serving


class LocalProbe:
    """A probe of the model server that runs without a container; it runs in the background.

    Args:
        seconds: how long it may take, from now on.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._official = find_program(OFFICIAL)
        self._own = None if self._official else in_background(_own_runtime)
        self._process: subprocess.Popen[bytes] | None = None
        self._error = ""
        if self._official:
            try:
                self._process = subprocess.Popen(
                    [self._official, "--version"],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    cwd=NEUTRAL_DIRECTORY,
                    env=safe_environment(os.environ),
                )
            except OSError as error:  # such as a program for another CPU
                self._error = str(error.strerror)

    def runtime(self) -> LocalRuntime:
        """Waits for the result, at most until the timeout, and returns it."""
        if self._own is not None:
            try:
                return self._own.result(self._seconds_left())
            except FutureTimeoutError:
                return LocalRuntime(None, broken=f"Python's packages could not be read within {self._seconds:g} s.")
        return self._version_of(self._process) if self._process else self._broken(self._error)

    def _seconds_left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def _version_of(self, process: subprocess.Popen[bytes]) -> LocalRuntime:
        try:
            output, _ = process.communicate(timeout=self._seconds_left())
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            if process.stdout is not None:  # a child process may keep it open
                process.stdout.close()
            return self._broken("--version does not end")
        if version := _VERSION.search(output):
            return LocalRuntime(f"TensorFlow ModelServer {version[1].decode(errors='replace')}, {self._official}")
        if process.returncode < 0:
            return self._broken(signal.strsignal(-process.returncode) or f"signal {-process.returncode}")
        if process.returncode > 0:
            lines = output.decode(errors="replace").split("\n")
            return self._broken(next((line for line in reversed(lines) if line.strip()), f"code {process.returncode}"))
        return LocalRuntime(self._official)

    def _broken(self, reason: str) -> LocalRuntime:
        return LocalRuntime(None, broken=f"{self._official} does not run: {reason.strip().rstrip('.')}.")


def _own_runtime() -> LocalRuntime:
    from importlib.metadata import PackageNotFoundError, version

    if packages := missing():
        return LocalRuntime(None, ", ".join(packages))
    for package in ("tensorflow-cpu", "tensorflow"):
        with suppress(PackageNotFoundError):
            return LocalRuntime(f"TensorFlow {version(package)}")
    return LocalRuntime("TensorFlow")

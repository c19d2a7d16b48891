"""The facts about this machine on which the choice of an engine depends."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from threading import Lock

from tfserve.gpu.probe import PROBE_SECONDS, GpuFacts, GpuProbe
from tfserve.host.system import System, this_system

__all__ = ["Host"]

_PROXIES = ("http_proxy", "https_proxy", "no_proxy")


class Host:
    """The operating system, the GPUs and the proxies of this machine, for everything that a command does.

    Args:
        probe_gpus: whether to start probing the GPUs now, in the background; otherwise that starts when it is needed.
        seconds: how long the probe may take.
    """

    def __init__(self, *, probe_gpus: bool = False, seconds: float = PROBE_SECONDS) -> None:
        self._seconds = seconds
        self._probe = GpuProbe(seconds) if probe_gpus else None
        self._lock = Lock()  # servers that start together share this object
        self._gpus: GpuFacts | None = None

    @cached_property
    def system(self) -> System:
        """The operating system."""
        return this_system()

    @cached_property
    def proxies(self) -> Mapping[str, str]:
        """The proxy variables in the environment, by their names in lower case."""
        found = {name: os.environ.get(name) or os.environ.get(name.upper()) for name in _PROXIES}
        return {name: value for name, value in found.items() if value}

    def gpus(self) -> GpuFacts:
        """Waits for the probe, and returns the facts about the GPUs."""
        with self._lock:
            if self._gpus is None:
                self._gpus = (self._probe or GpuProbe(self._seconds)).facts()
            return self._gpus

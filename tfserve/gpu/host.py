"""The facts about this machine on which the choice of an engine depends."""

from __future__ import annotations

from functools import cached_property
from threading import Lock

from tfserve.gpu.probe import GpuFacts, GpuProbe
from tfserve.host.system import System, this_system

__all__ = ["Host"]


class Host:
    """The operating system and the GPUs of this machine, for all launches of a command.

    Args:
        probe_gpus: whether to start probing the GPUs now, in the background; otherwise that starts when it is needed.
    """

    def __init__(self, *, probe_gpus: bool = False) -> None:
        self._probe = GpuProbe() if probe_gpus else None
        self._lock = Lock()  # servers that start together share this object
        self._gpus: GpuFacts | None = None

    @cached_property
    def system(self) -> System:
        """The operating system."""
        return this_system()

    def gpus(self) -> GpuFacts:
        """Waits for the probe, and returns the facts about the GPUs."""
        with self._lock:
            if self._gpus is None:
                self._gpus = (self._probe or GpuProbe()).facts()
            return self._gpus

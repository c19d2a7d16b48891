"""Ports for the servers of one test."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import SystemRandom

from tfserve.host.ports import is_free

__all__ = ["free_ports"]

_LOWEST, _HIGHEST = 10_000, 65_535
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int) -> list[int]:
    """Returns different ports that are free.

    They are outside the range from which the system gives ports to programs that do not choose one, so that no such
    program takes one of them before the test uses it.
    """
    ephemeral = int(_EPHEMERAL.read_text().split()[0])
    candidates = range(_LOWEST, ephemeral) or range(_LOWEST, _HIGHEST)
    shuffled = SystemRandom().sample(candidates, len(candidates))
    return list(islice((port for port in shuffled if is_free("127.0.0.1", port)), count))

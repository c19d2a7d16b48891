"""``tfserve doctor``: what of this machine is ready to serve. First the facts, side by side; then what they mean."""

from __future__ import annotations

from tfserve.doctor.check import Check
from tfserve.doctor.docker import docker_checks, docker_serves
from tfserve.doctor.gather import gather
from tfserve.doctor.gpu import gpu_checks
from tfserve.doctor.machine import local_serves, machine_checks

__all__ = ["Check", "examine"]


def examine(seconds: float) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """Looks at this machine and its Docker Engine.

    Args:
        seconds: how long each look may take; they go on side by side.

    Returns:
        What was found, and which engines could serve.
    """
    facts = gather(seconds)
    checks = (*docker_checks(facts), *gpu_checks(facts), *machine_checks(facts))
    serving = {"docker": docker_serves(facts), "local": local_serves(facts)}
    return checks, tuple(engine for engine, serves in serving.items() if serves)

"""``tfserve doctor``: what of this machine is ready to serve. First the facts, side by side; then what they mean."""

from __future__ import annotations

from dataclasses import dataclass

from tfserve.doctor.docker import docker_checks, docker_serves
from tfserve.doctor.facts import Check
from tfserve.doctor.gather import gather
from tfserve.doctor.gpu import gpu_checks
from tfserve.doctor.machine import local_serves, machine_checks, way_to_serve

__all__ = ["Check", "Examination", "examine"]


@dataclass(frozen=True)
class Examination:
    """What was found, the ways in which this machine can serve, and what it takes to serve without Docker."""

    checks: tuple[Check, ...]
    serving: tuple[str, ...]
    without_docker: str


def examine(seconds: float) -> Examination:
    """Looks at this machine and its Docker Engine.

    Args:
        seconds: how long each look may take; they go on side by side.
    """
    facts = gather(seconds)
    checks = (*docker_checks(facts), *gpu_checks(facts), *machine_checks(facts))
    ways = {"on Docker": docker_serves(facts), "as local processes": local_serves(facts)}
    return Examination(checks, tuple(way for way, works in ways.items() if works), way_to_serve(facts))

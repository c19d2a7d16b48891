"""``tfserve doctor``: gathers facts about this machine in parallel, then checks whether it can serve models."""

from __future__ import annotations

from dataclasses import dataclass

from tfserve.doctor.docker import docker_checks, docker_serves
from tfserve.doctor.facts import Check
from tfserve.doctor.gather import gather
from tfserve.doctor.gpu import gpu_checks
from tfserve.doctor.machine import local_serves, machine_checks, way_to_serve
from tfserve.doctor.other_engines import OtherEngines, other_engine_checks

__all__ = ["Check", "Examination", "examine"]


@dataclass(frozen=True)
class Examination:
    """The checks, the ways in which this machine can serve, and how to serve without Docker."""

    checks: tuple[Check, ...]
    serving: tuple[str, ...]
    without_docker: str


def examine(seconds: float) -> Examination:
    """Examines this machine and its engines.

    Args:
        seconds: the timeout for each probe; all probes run in parallel.
    """
    others = OtherEngines(seconds)
    facts, errors = gather(seconds), others.errors()
    checks = (*docker_checks(facts), *gpu_checks(facts), *machine_checks(facts), *other_engine_checks(errors))
    ways = {"on Docker": docker_serves(facts), "as local processes": local_serves(facts)}
    ways.update((f"with {kind.title}", error is None) for kind, error in errors.items())
    return Examination(checks, tuple(way for way, works in ways.items() if works), way_to_serve(facts))

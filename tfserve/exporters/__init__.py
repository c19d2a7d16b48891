"""Exports a launch plan: each module is one format, and contains a pure function from a plan to text."""

from __future__ import annotations

from tfserve.plan.launch_plan import LaunchPlan

__all__ = ["command_line"]


def command_line(plan: LaunchPlan) -> str:
    """Returns the shell line that starts the container or process of `plan`."""
    from tfserve.exporters.docker_run import docker_run
    from tfserve.exporters.process import process_line

    return docker_run(plan) if plan.image is not None else process_line(plan)

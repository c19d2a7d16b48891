"""Runs servers as containers of a Docker Engine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tfserve.engines.base import Engine, Planner
from tfserve.engines.kinds import EngineKind, Prepared

if TYPE_CHECKING:
    from tfserve.defaults import PullPolicy
    from tfserve.gpu.machine import Host
    from tfserve.progress import Progress
    from tfserve.spec.serve import ServeSpec

__all__ = ["DEFAULT_SOCKET", "KIND", "is_configured"]

DEFAULT_SOCKET = Path("/var/run/docker.sock")


def is_configured() -> bool:
    """Whether anything on this machine points to a Docker Engine; otherwise the SDK need not be loaded to look."""
    variables = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG")
    if any(os.environ.get(name) for name in variables):
        return True
    config = os.path.expanduser("~/.docker/config.json")  # noqa: PTH111 - Path would raise if there is no home
    return DEFAULT_SOCKET.exists() or os.path.exists(config)  # noqa: PTH110


class _Docker(EngineKind):
    name = "docker"
    title = "Docker"
    rank = 0

    def is_configured(self) -> bool:
        return is_configured()

    def is_installed(self) -> bool:
        return is_configured()

    def how_to_use(self) -> str:
        from tfserve.engines.docker.client import how_to_start

        return how_to_start()

    def connect(self) -> Engine:
        from tfserve.engines.docker.client import connect
        from tfserve.engines.docker.engine import DockerEngine

        return DockerEngine(connect())

    def supports(self, spec: ServeSpec) -> bool:
        return not spec.process_options()

    def refuse_unsupported(self, spec: ServeSpec) -> None:
        from tfserve.engines.docker.limits import refuse_process_options

        refuse_process_options(spec)

    def may_use_gpus(self) -> bool:
        return is_configured()

    def prepare(self, spec: ServeSpec, pull: PullPolicy | None, progress: Progress, host: Host) -> Prepared:
        from tfserve.engines.docker.prepare import prepare

        return prepare(spec, pull, progress, host)

    def planner_without_engine(self) -> Planner:
        from tfserve.engines.docker.plan import TypicalDocker

        return TypicalDocker()


KIND = _Docker()

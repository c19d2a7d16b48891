"""Runs servers as containers of a Docker Engine. The labels of a container are the only record of its server."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tfserve.engines.docker.client import UnexpectedAnswerError, docker_errors, remote_host
from tfserve.engines.docker.errors import damaged_container, launch_errors
from tfserve.engines.docker.files import write_texts
from tfserve.engines.docker.removal import remove_container
from tfserve.engines.docker.replaced import is_suspended
from tfserve.engines.docker.server import DockerServer, read_server, start_container
from tfserve.engines.docker.translate import container_arguments, engine_facts, server_fields
from tfserve.errors import SkippedWarning, TfserveError
from tfserve.plan import labels

if TYPE_CHECKING:
    from docker import APIClient

    from tfserve.models.saved_model import ModelDirectory
    from tfserve.plan.engine_facts import EngineFacts
    from tfserve.plan.launch_plan import HostPorts, LaunchPlan
    from tfserve.spec.serve import ServeSpec

__all__ = ["DockerEngine"]


class DockerEngine:
    """A Docker Engine, through the Docker SDK.

    Args:
        client: the connection.
    """

    name = "docker"
    reserves_ports = True
    records_secrets = True

    def __init__(self, client: APIClient) -> None:
        self.client = client

    @property
    def host(self) -> str | None:
        """The machine that the engine runs on; None for this one."""
        return remote_host(self.client)

    @property
    def shares_ports(self) -> bool:
        return self.host is None

    @cached_property
    def facts(self) -> EngineFacts:
        """The facts about this engine that a plan depends on."""
        with docker_errors():
            return engine_facts(self.client.info(), self.host)

    def plan(
        self, spec: ServeSpec, directories: Sequence[ModelDirectory], ports: HostPorts, *, gpu: bool
    ) -> LaunchPlan:
        from tfserve.engines.docker.packaged import models_inside
        from tfserve.engines.docker.plan import plan_container

        packaged = () if spec.image is None else models_inside(self.client, spec)
        return plan_container(spec, directories, ports, facts=self.facts, gpu=gpu, packaged=packaged)

    def command_line(self, plan: LaunchPlan) -> str:
        from tfserve.exporters.docker_run import docker_run

        return docker_run(plan)

    def launch(self, plan: LaunchPlan) -> DockerServer:
        arguments = container_arguments(self.client, plan)
        with docker_errors(), launch_errors(plan, self.host):
            container = self.client.create_container(**arguments)["Id"]
        try:
            if plan.files:
                write_texts(self.client, container, plan.files)
            return start_container(self, container, plan)
        except BaseException:
            with docker_errors():
                remove_container(self.client, container)
            raise

    def servers(self) -> list[DockerServer]:
        """Returns the servers, with a `SkippedWarning` for each container whose labels or state are damaged."""
        with docker_errors():
            servers, damaged = self._find({"label": labels.NAME})
        for error in damaged:
            warnings.warn(f"{error.message} It was skipped. {error.hint}", SkippedWarning, stacklevel=2)
        return servers

    def find(self, name: str) -> DockerServer | None:
        with docker_errors():
            found, damaged = self._find({"label": f"{labels.NAME}={name}"})
        if damaged and not found:
            raise damaged[0]
        return found[0] if found else None

    def _find(self, filters: dict[str, str]) -> tuple[list[DockerServer], list[TfserveError]]:
        """Returns the servers whose containers have these labels, and an error for each that cannot be read."""
        listed: list[dict[str, Any]] = self.client.containers(all=True, filters=filters)
        found: list[tuple[bool, datetime, dict[str, Any], DockerServer]] = []
        damaged: list[TfserveError] = []
        for data in listed:
            try:
                with docker_errors():
                    # A suspended container comes after the one that replaces it.
                    suspended = is_suspended(data["Names"][0])
                    listed_server = DockerServer(engine=self, **server_fields(data))
                    found.append((suspended, listed_server.created, data, listed_server))
            except UnexpectedAnswerError as error:
                damaged.append(damaged_container(data, error))
        servers: dict[str, DockerServer] = {}
        for _, _, data, listed_server in sorted(found, key=lambda each: each[:2]):
            if listed_server.name not in servers:
                try:
                    servers[listed_server.name] = read_server(listed_server)
                except UnexpectedAnswerError as error:
                    damaged.append(damaged_container(data, error))
        return list(servers.values()), damaged

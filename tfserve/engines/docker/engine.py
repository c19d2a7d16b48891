"""Servers as containers of a Docker Engine. The labels on a container are the only record of it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from math import ceil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from tfserve.engines.base import EngineName, Exit, Server
from tfserve.engines.docker import files as docker_files
from tfserve.engines.docker import replaced as docker_asides
from tfserve.engines.docker.client import docker_errors, remote_host
from tfserve.engines.docker.errors import launch_errors
from tfserve.engines.docker.replaced import remove_container
from tfserve.engines.docker.translate import container_arguments, engine_facts, read_server
from tfserve.errors import NotReadyError, UsageError
from tfserve.plan import labels
from tfserve.spec.image import MODEL_ROOT

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

    name: EngineName = "docker"

    def __init__(self, client: APIClient) -> None:
        self.client = client

    @property
    def host(self) -> str | None:
        """The machine it is on; None for this one."""
        return remote_host(self.client)

    @property
    def shares_ports(self) -> bool:
        """Whether it publishes on this machine; see `Engine.shares_ports`."""
        return self.host is None

    @cached_property
    def facts(self) -> EngineFacts:
        """What a plan has to know of this engine."""
        with docker_errors():
            return engine_facts(self.client.info(), self.host)

    def plan(
        self, spec: ServeSpec, directories: Sequence[ModelDirectory], ports: HostPorts, *, gpu: bool
    ) -> LaunchPlan:
        """Plans a container; see `Engine.plan`."""
        from tfserve.engines.docker.packaged import models_inside
        from tfserve.host.system import invoking_user
        from tfserve.models.bucket_credentials import find_bucket_credentials
        from tfserve.plan.container import container_plan
        from tfserve.spec.server_flags import flag_digests

        packaged = () if spec.image is None else models_inside(self.client, spec)
        return container_plan(
            spec,
            directories,
            ports,
            engine=self.facts,
            gpu=gpu,
            user=directories[0].reader if directories else invoking_user(),
            credentials=find_bucket_credentials(model.path for model in spec.models),
            packaged=packaged,
            flag_files=flag_digests(spec.server_flags),
        )

    def launch(self, plan: LaunchPlan) -> Server:
        """Creates and starts the container of `plan`; see `Engine.launch`."""
        with docker_errors():
            with launch_errors(plan, self.host):
                container = self.client.create_container(**container_arguments(self.client, plan))["Id"]
            try:
                if plan.files:
                    docker_files.write_texts(self.client, container, plan.files)
                return self._start(container, plan)
            except BaseException:
                remove_container(self.client, container)
                raise

    def servers(self) -> list[Server]:
        """Lists the containers that carry tfserve's label; see `Engine.servers`."""
        with docker_errors():
            return self._find({"label": labels.NAME})

    def find(self, name: str) -> Server | None:
        """Finds a server by its label; see `Engine.find`."""
        with docker_errors():
            found = self._find({"label": f"{labels.NAME}={name}"})
        return found[0] if found else None

    def logs(
        self,
        server: Server,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
        timestamps: bool = False,
    ) -> Iterator[str]:
        """Yields the lines of the container's log; see `Engine.logs`."""
        with docker_errors():
            chunks = self.client.logs(
                server.container_id,
                stream=True,
                follow=follow,
                tail="all" if tail is None else tail,
                since=None if since is None else max(since.timestamp(), 1.0),  # the SDK refuses what is before 1970
                timestamps=timestamps,
            )
            rest = b""
            for chunk in chunks:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line.decode(errors="replace").rstrip("\r")
            if rest:
                yield rest.decode(errors="replace")
            if follow:
                self.client.ping()  # a dying engine ends the log just as a dying server does

    def start(self, server: Server) -> Server:
        """Starts the stopped container, or lets a paused one go on; see `Engine.start`."""
        with docker_errors():
            if server.state == "created" and server.config and self.models_config(server) is None:
                raise NotReadyError(
                    f"{server.name!r} is not complete: whoever made it was killed on the way.",
                    hint=f"Remove it, and make it anew: tfserve rm {server.name}",
                )
            if server.state == "paused":
                self.client.unpause(server.container_id)
            return self._with_models(self._start(str(server.container_id), server))

    def stop(self, server: Server, *, grace: float) -> None:
        """Stops the container; see `Engine.stop`."""
        with docker_errors():
            self.client.stop(server.container_id, timeout=ceil(grace))

    def remove(self, server: Server) -> None:
        """Removes the container, and what a killed command left aside of the same server; see `Engine.remove`."""
        with docker_errors():
            remove_container(self.client, str(server.container_id))
            for container in docker_asides.left_aside(self.client, server):
                remove_container(self.client, container)

    def models_config(self, server: Server) -> str | None:
        """Reads the file in the container; see `Engine.models_config`."""
        return docker_files.read_text(self.client, str(server.container_id), server.config) if server.config else None

    def keep_models(self, server: Server, config: str, models: Sequence[str]) -> None:
        """Writes the file in the container; see `Engine.keep_models`."""
        with docker_errors():
            docker_files.write_texts(self.client, str(server.container_id), {str(server.config): config})

    def bring_model(self, server: Server, name: str, directory: ModelDirectory) -> str:
        """Copies the model, as a container that runs gets no mounts any more; see `Engine.bring_model`."""
        from tfserve.plan.mounts import model_mount

        container = str(server.container_id)
        wanted = model_mount(directory, f"{MODEL_ROOT}/{name}")
        if self._mounts(server).get(wanted.target) == wanted.source:
            return f"{MODEL_ROOT}/{name}"
        numbers = itertools.count(2)  # what was copied before stays, as nothing in the container would remove it
        base_path = f"{MODEL_ROOT}/{name}"
        while docker_files.exists(self.client, container, base_path):
            base_path = f"{MODEL_ROOT}/{name}.{next(numbers)}"
        copied = model_mount(directory, base_path)
        with docker_errors():
            docker_files.copy_directory(self.client, container, Path(copied.source), copied.target)
        return base_path

    def versions(self, server: Server, base_path: str) -> tuple[int, ...]:
        """Looks where it is mounted from, or else into the container; see `Engine.versions`."""
        from tfserve.models.saved_model import version_numbers

        mounts = self._mounts(server)
        if self.shares_ports and base_path in mounts:
            return version_numbers(path.name for path in Path(mounts[base_path]).glob("*/"))
        alone = [target.name for target in map(PurePosixPath, mounts) if str(target.parent) == base_path]
        return version_numbers(alone or docker_files.names_in(self.client, str(server.container_id), base_path))

    def _mounts(self, server: Server) -> dict[str, str]:
        """What the container has from the engine's machine: its path there by the path inside."""
        with docker_errors():
            mounts = self.client.inspect_container(server.container_id)["Mounts"]
        return {mount["Destination"]: mount["Source"] for mount in mounts}

    def environment(self, server: Server) -> Mapping[str, str]:
        """Asks the engine for them; see `Engine.environment`."""
        with docker_errors():
            assignments = self.client.inspect_container(server.container_id)["Config"]["Env"] or ()
        return dict(assignment.split("=", 1) for assignment in assignments if "=" in assignment)

    def set_aside(self, server: Server, *, grace: float) -> Server | None:
        """Renames and stops the container; see `Engine.set_aside`."""
        with docker_errors():
            docker_asides.free_name(self.client, server)
            try:
                self.client.stop(server.container_id, timeout=ceil(grace))
            except BaseException:
                docker_asides.give_name_back(self.client, server)
                raise
        return None if server.auto_remove else server

    def bring_back(self, aside: Server, original: Server) -> None:
        """Gives the container its name back and starts it if it ran; see `Engine.bring_back`."""
        with docker_errors():
            docker_asides.give_name_back(self.client, aside)
            if original.running:
                self.client.start(aside.container_id)

    def _start(self, container: str, server: LaunchPlan | Server) -> Server:
        with launch_errors(server, self.host):
            self.client.start(container)
        found = self._list({"id": container})
        if not found:
            raise NotReadyError(
                f"{server.name!r} ended at once, and was removed at that.", hint="Start it without --rm."
            )
        return read_server(found[0])

    def _find(self, filters: dict[str, str]) -> list[Server]:
        containers = sorted(self._list(filters), key=lambda data: data["Created"])
        # One that is being replaced gives way to the one that takes its place.
        containers.sort(key=lambda data: docker_asides.is_aside(data["Names"][0]))
        servers: dict[str, Server] = {}
        for data in containers:
            servers.setdefault(data["Labels"][labels.NAME], self._with_models(self._with_exit(read_server(data))))
        return list(servers.values())

    def _list(self, filters: dict[str, str]) -> list[dict[str, Any]]:
        containers: list[dict[str, Any]] = self.client.containers(all=True, filters=filters)
        return containers

    def _with_models(self, server: Server) -> Server:
        """Puts the models of now in place of those that the server was made with, where they can change."""
        config = self.models_config(server)
        if config is None:
            return server
        from tfserve.spec.models_config import served_models

        with suppress(UsageError):  # somebody else wrote it
            return dataclasses.replace(server, models=tuple(model.name for model in served_models(config)))
        return server

    def _with_exit(self, server: Server) -> Server:
        """Adds how a stopped container ended, which the engine's list tells in prose alone."""
        if server.state not in ("exited", "dead", "restarting"):
            return server
        import docker.errors

        try:
            state = self.client.inspect_container(server.container_id)["State"]
        except docker.errors.NotFound:
            return server
        return dataclasses.replace(server, exit=Exit(state["ExitCode"], bool(state["OOMKilled"])))

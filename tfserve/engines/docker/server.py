"""A server in a container: how its state is read from the Docker Engine, and what can be done with it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from tfserve.engines.base import AddedModel, Diagnosis, Engine, Exit, Server
from tfserve.engines.conflicts import exited_and_removed
from tfserve.engines.docker import files, replaced
from tfserve.engines.docker.client import docker_errors
from tfserve.engines.docker.errors import launch_errors
from tfserve.engines.docker.fields import path, text
from tfserve.engines.docker.removal import remove_container
from tfserve.engines.docker.translate import server_fields
from tfserve.errors import NotReadyError, UsageError
from tfserve.spec.image import MODEL_ROOT

if TYPE_CHECKING:
    from docker import APIClient

    from tfserve.models.saved_model import ModelDirectory
    from tfserve.plan.launch_plan import LaunchPlan

__all__ = ["DockerServer", "read_server", "start_container"]

_MAX_LINE_BYTES = 2**20


class ContainerEngine(Engine, Protocol):
    """What servers in containers need of their engine."""

    @property
    def client(self) -> APIClient:
        """The connection to the Docker Engine."""
        ...

    @property
    def host(self) -> str | None:
        """The machine that the engine runs on; None for this one."""
        ...


@dataclass(frozen=True)
class DockerServer(Server):
    """A server in a container."""

    engine: ContainerEngine = field(repr=False, compare=False)

    @property
    def client(self) -> APIClient:
        """The connection to the Docker Engine."""
        return self.engine.client

    def logs(
        self,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
        timestamps: bool = False,
    ) -> Iterator[str]:
        lines = self._lines(follow=follow, tail=tail, since=since, timestamps=timestamps)
        return lines if follow or tail is None else itertools.islice(lines, tail)  # an engine could send any number

    def _lines(self, *, follow: bool, tail: int | None, since: datetime | None, timestamps: bool) -> Iterator[str]:
        with docker_errors():
            chunks = self.client.logs(
                self.container_id,
                stream=True,
                follow=follow,
                tail="all" if tail is None else tail,
                since=None if since is None else max(since.timestamp(), 1.0),  # the SDK rejects times before 1970
                timestamps=timestamps,
            )
            rest = b""
            for chunk in chunks:
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > _MAX_LINE_BYTES:
                    lines, rest = [*lines, rest], b""
                for line in lines:
                    yield line.decode(errors="replace").rstrip("\r")
            if rest:
                yield rest.decode(errors="replace")
            if follow:
                self.client.ping()  # the log ends in the same way whether the server or the engine has stopped

    def start(self) -> Server:
        with docker_errors():
            if self.state == "created" and self.config and self.models_config() is None:
                raise NotReadyError(
                    f"{self.name!r} was only partly created: tfserve was killed while creating it.",
                    hint=f"Remove it and create it again: tfserve rm {self.name}",
                )
            if self.state == "paused":
                self.client.unpause(self.container_id)
            return _with_models(start_container(self.engine, self._container, self))

    def stop(self, *, grace: float) -> None:
        with docker_errors():
            self.client.stop(self.container_id, timeout=ceil(grace))

    def remove(self) -> None:
        """Removes the container, and any container of this server that a killed command left suspended."""
        with docker_errors():
            remove_container(self.client, self._container)
            for container in replaced.left_suspended(self.client, self):
                remove_container(self.client, container)

    def models_config(self) -> str | None:
        return files.read_text(self.client, self._container, self.config) if self.config else None

    def save_models_config(self, config: str, models: Sequence[str]) -> None:
        files.write_texts(self.client, self._container, {str(self.config): config})

    def add_model(self, name: str, directory: ModelDirectory) -> AddedModel:
        """Copies the model unless it is mounted already, because nothing can be mounted into a running container."""
        from tfserve.plan.mounts import model_mount

        wanted = model_mount(directory, f"{MODEL_ROOT}/{name}")
        if self._mounts().get(wanted.target) == wanted.source:
            return AddedModel(wanted.target, copied=False)
        numbers = itertools.count(2)  # earlier copies stay: a container has no means of its own to remove them
        base_path = f"{MODEL_ROOT}/{name}"
        while files.exists(self.client, self._container, base_path):
            base_path = f"{MODEL_ROOT}/{name}.{next(numbers)}"
        copied = model_mount(directory, base_path)
        files.copy_directory(self.client, self._container, Path(copied.source), copied.target)
        return AddedModel(base_path, copied=True)

    def versions(self, base_path: str) -> tuple[int, ...]:
        """Lists the directory that is mounted there, if it is on this machine; otherwise the one in the container."""
        from tfserve.models.saved_model import version_numbers

        mounts = self._mounts()
        if self.engine.shares_ports and base_path in mounts:
            return version_numbers(version.name for version in Path(mounts[base_path]).glob("*/"))
        alone = [target.name for target in map(PurePosixPath, mounts) if str(target.parent) == base_path]
        return version_numbers(alone or files.names_in(self.client, self._container, base_path))

    def environment(self) -> Mapping[str, str]:
        with docker_errors():
            assignments = self.client.inspect_container(self.container_id)["Config"]["Env"] or ()
            return dict(assignment.split("=", 1) for assignment in assignments if "=" in assignment)

    def diagnose(self, log: Sequence[str], exited: Exit | None) -> Diagnosis | None:
        from tfserve.engines.diagnosis import recognize
        from tfserve.engines.docker.causes import docker_causes

        return recognize(log, exited, gpu=self.gpu, first=docker_causes())

    def suspend(self, *, grace: float) -> Server | None:
        """Renames and stops the container."""
        with docker_errors():
            replaced.free_name(self.client, self)
            try:
                self.client.stop(self.container_id, timeout=ceil(grace))
            except BaseException:
                replaced.restore_name(self.client, self)
                raise
        return None if self.auto_remove else self

    def restore(self, original: Server) -> None:
        """Gives the container its name back, and starts it if it was running."""
        with docker_errors():
            replaced.restore_name(self.client, self)
            if original.running:
                self.client.start(self.container_id)

    @property
    def _container(self) -> str:
        return str(self.container_id)

    def _mounts(self) -> dict[str, str]:
        """What is mounted into the container: the path on the engine's machine by the path in the container."""
        with docker_errors():
            mounts = self.client.inspect_container(self.container_id)["Mounts"]
            return {text(mount["Destination"]): path(mount["Source"]) for mount in mounts}


def start_container(engine: ContainerEngine, container: str, started: LaunchPlan | Server) -> DockerServer:
    """Starts the container of a plan, or of a server that was started before.

    Raises:
        TfserveError: the engine refused; see `launch_errors`.
        NotReadyError: the container exited immediately and was removed.
    """
    with docker_errors():
        with launch_errors(started, engine.host):
            engine.client.start(container)
        found = engine.client.containers(all=True, filters={"id": container})
        if not found:
            raise exited_and_removed(started.name)
        return _server(engine, found[0])


def read_server(server: DockerServer) -> DockerServer:
    """Adds to a listed server what its container itself contains.

    Raises:
        UnexpectedAnswerError: the container does not have the form that tfserve gives it.
    """
    with docker_errors():
        return _with_models(_with_exit(server))


def _server(engine: ContainerEngine, data: dict[str, Any]) -> DockerServer:
    return DockerServer(engine=engine, **server_fields(data))


def _with_models(server: DockerServer) -> DockerServer:
    """Replaces the models that the server was started with by those that its ``models.config`` names now."""
    config = server.models_config()
    if config is None:
        return server
    from tfserve.spec.models_config import served_models

    with suppress(UsageError):  # the user changed it
        return dataclasses.replace(server, models=tuple(model.name for model in served_models(config)))
    return server


def _with_exit(server: DockerServer) -> DockerServer:
    """Adds how a stopped container exited, which the engine's list contains only as prose."""
    if server.state not in ("exited", "dead", "restarting"):
        return server
    import docker.errors

    try:
        state = server.client.inspect_container(server.container_id)["State"]
    except docker.errors.NotFound:
        return server
    code = state["ExitCode"]
    if not isinstance(code, int):
        raise TypeError("the exit code is not a number")
    return dataclasses.replace(server, exit=Exit(code, bool(state["OOMKilled"])))

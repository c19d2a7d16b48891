"""Servers as detached processes of this machine, for where there is no Docker."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tfserve.addresses import reachable
from tfserve.engines.base import EngineName, Exit, Server, changed_elsewhere, name_taken
from tfserve.engines.local import state as local_state
from tfserve.engines.local.process import Process, Start, start_process
from tfserve.engines.local.runtime import find_binary, not_started
from tfserve.engines.local.state import Record, ServerDirectory
from tfserve.errors import EngineUnavailableError, NotReadyError, PortTakenError
from tfserve.plan import labels

if TYPE_CHECKING:
    from tfserve.models.saved_model import ModelDirectory
    from tfserve.plan.launch_plan import HostPorts, LaunchPlan
    from tfserve.spec.serve import ServeSpec

__all__ = ["LocalEngine"]

_POLL_SECONDS = 0.02
_KILL_SECONDS = 10.0
_EXIT_SECONDS = 1.0
_ASIDE = ".replaced-"


def _without_record(directory: ServerDirectory) -> NotReadyError:
    name = directory.path.name
    return NotReadyError(
        f"The record of the server {name!r} is damaged, or gone.",
        hint=f"See whether it is still there: tfserve ps   then remove it: tfserve rm --force {name}",
    )


class LocalEngine:
    """Runs servers as processes of the invoking user."""

    name: EngineName = "local"
    shares_ports = True

    _asides: ClassVar[set[str]] = set()  # the directories that this process has set aside

    def __init__(self) -> None:
        self._children: dict[int, Process] = {}

    def plan(
        self, spec: ServeSpec, directories: Sequence[ModelDirectory], ports: HostPorts, *, gpu: bool
    ) -> LaunchPlan:
        """Plans a process; see `Engine.plan`."""
        from tfserve.plan.process import process_plan
        from tfserve.spec.server_flags import flag_digests

        return process_plan(
            spec,
            directories,
            ports,
            binary=find_binary(),
            root=local_state.directory_of(spec.name).path,
            flag_files=flag_digests(spec.server_flags),
        )

    def launch(self, plan: LaunchPlan) -> Server:
        """Starts the process of `plan`; see `Engine.launch`."""
        directory = local_state.create(plan)
        try:
            return self._spawn(directory, plan.secrets)
        except BaseException:
            directory.remove()
            raise

    def servers(self) -> list[Server]:
        """Lists the servers of this user; see `Engine.servers`."""
        found = [server for directory in local_state.directories() if (server := self._server(directory))]
        return sorted(found, key=lambda server: server.created)

    def find(self, name: str) -> Server | None:
        """Finds a server by name; see `Engine.find`."""
        if not name or name.startswith(".") or "/" in name or "\0" in name:
            return None
        return self._server(local_state.directory_of(name))

    def logs(
        self,
        server: Server,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
        timestamps: bool = False,
    ) -> Iterator[str]:
        """Yields the lines of the log file; see `Engine.logs`."""
        from tfserve.engines.local.log import read_log

        directory = local_state.directory_of(server.name)
        yield from read_log(
            directory.log, tail=tail, since=since, timestamps=timestamps, more=directory.is_alive if follow else None
        )

    def start(self, server: Server) -> Server:
        """Starts a stopped server again, with the plan it had; see `Engine.start`."""
        from tfserve.host.ports import is_free

        directory = local_state.directory_of(server.name)
        record = directory.read()
        published = (record.plan.rest, record.plan.grpc) if record and not directory.is_alive() else ()
        for port in filter(None, published):
            if not is_free(port.host, port.host_port):
                raise PortTakenError(
                    f"Port {port.host_port} on {port.host} is taken by another program.",
                    hint=f"End that program, or make the server anew on another port: tfserve rm {server.name}",
                )
        return self._spawn(directory)

    def stop(self, server: Server, *, grace: float) -> None:
        """Sends SIGTERM, and SIGKILL after `grace` seconds; see `Engine.stop`."""
        directory = local_state.directory_of(server.name)
        record = directory.read()
        if record is None:
            return
        directory.write(dataclasses.replace(record, stopped=True))
        self._end(directory, grace)
        if record.plan.remove:
            directory.remove()

    def remove(self, server: Server) -> None:
        """Ends the process and removes its directory, and what a killed command left aside; see `Engine.remove`."""
        directory = local_state.directory_of(server.name)
        self._end(directory, grace=0)
        directory.remove()
        self._asides.discard(server.name)
        aside = local_state.directory_of(f"{_ASIDE}{server.name}")
        if aside.path.name not in self._asides:
            aside.remove()

    def models_config(self, server: Server) -> str | None:
        """Reads the file; see `Engine.models_config`."""
        try:
            return Path(server.config).read_text(encoding="utf-8") if server.config else None
        except (OSError, ValueError):
            return None

    def keep_models(self, server: Server, config: str, models: Sequence[str]) -> None:
        """Writes the file, and the models' names into the record; see `Engine.keep_models`."""
        directory = local_state.directory_of(server.name)
        record = directory.read()
        if record is None or server.config is None:
            return
        with local_state.state_errors(directory.path):
            draft = Path(f"{server.config}.{os.getpid()}")
            draft.write_text(config, encoding="utf-8")
            draft.replace(server.config)
            plan = dataclasses.replace(
                record.plan, models=tuple(models), files={**record.plan.files, server.config: config}
            )
            directory.write(dataclasses.replace(record, plan=plan))

    def bring_model(self, server: Server, name: str, directory: ModelDirectory) -> str:
        """Links the model beside the others; see `Engine.bring_model`."""
        from tfserve.plan.mounts import model_mount

        own = local_state.directory_of(server.name)
        base_path = f"{own.path}/models/{name}"
        mount = model_mount(directory, base_path)
        record = own.read()
        with local_state.state_errors(own.path):
            if record is not None:  # so that it is known what the server sees
                others = [other for other in record.plan.mounts if not Path(other.target).is_relative_to(base_path)]
                plan = dataclasses.replace(
                    record.plan, mounts=(*others, mount), labels=_with_model(record.plan, name, directory.path)
                )
                own.write(dataclasses.replace(record, plan=plan))
            own.unlink(Path(base_path))
            own.link(mount)
        return base_path

    def versions(self, server: Server, base_path: str) -> tuple[int, ...]:
        """Looks; see `Engine.versions`."""
        from tfserve.models.saved_model import version_numbers

        return version_numbers(path.name for path in Path(base_path).glob("*/"))

    def environment(self, server: Server) -> Mapping[str, str]:
        """Reads them from the record; see `Engine.environment`."""
        record = local_state.directory_of(server.name).read()
        return record.plan.environment if record else {}

    def set_aside(self, server: Server, *, grace: float) -> Server:
        """Stops the process and moves its directory away; see `Engine.set_aside`."""
        directory = local_state.directory_of(server.name)
        self._end(directory, grace)
        aside = directory.path.with_name(f"{_ASIDE}{server.name}")
        ServerDirectory(aside).remove()
        try:
            with local_state.state_errors(directory.path):
                directory.path.rename(aside)
        except EngineUnavailableError:
            if server.running:
                self._spawn(directory)
            raise
        self._asides.add(aside.name)
        return dataclasses.replace(server, name=aside.name)

    def bring_back(self, aside: Server, original: Server) -> None:
        """Moves the directory back and starts the process if it ran; see `Engine.bring_back`."""
        directory = local_state.directory_of(original.name)
        with local_state.state_errors(directory.path):
            try:
                local_state.directory_of(aside.name).path.rename(directory.path)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    raise changed_elsewhere(original.name) from error
                raise
        self._asides.discard(aside.name)
        if original.running:
            self._spawn(directory)

    def _spawn(self, directory: ServerDirectory, secrets: Mapping[str, str] | None = None) -> Server:
        """Starts the process; `secrets` are not in its record, so that a later start takes those of its environment."""
        record = directory.read()
        if record is None:
            raise _without_record(directory)
        with ExitStack() as descriptors:
            with local_state.state_errors(directory.path):
                log = os.open(directory.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
                descriptors.callback(os.close, log)
                lock = directory.take_lock()
            if lock is None:
                raise name_taken(directory.path.name)
            descriptors.callback(os.close, lock)
            try:
                environment = {**os.environ, **record.plan.environment, **(secrets or {})}
                process = start_process(Start(record.plan.command, directory.path, environment, log, lock))
            except OSError as error:
                raise not_started(record.plan.command[0], error) from error
            directory.note_pid(lock, process.pid)
        self._children[process.pid] = process
        try:
            directory.write(dataclasses.replace(record, pid=process.pid, stopped=False))
        except BaseException:  # a process that nobody knows of must not stay
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        server = self._server(directory)
        if server is None:
            raise _without_record(directory)
        return server

    def _server(self, directory: ServerDirectory) -> Server | None:
        record = directory.read()
        if record is None:
            return self._damaged(directory)
        plan, alive = record.plan, directory.is_alive()
        if plan.remove and record.pid is not None and not alive:
            directory.remove()
            return None
        return Server(
            name=directory.path.name,
            engine="local",
            state="running" if alive else "exited",
            models=plan.models,
            created=record.created,
            rest_url=f"http://{reachable(plan.rest.host, plan.rest.host_port)}" if alive and plan.rest else None,
            grpc_address=reachable(plan.grpc.host, plan.grpc.host_port) if alive and plan.grpc else None,
            pid=record.pid if alive else None,
            exit=None if alive else self._exit(record),
            auto_remove=plan.remove,
            mounts=tuple(mount.source for mount in plan.mounts),
            config=plan.labels.get(labels.CONFIG),
            spec=_spec(plan),
        )

    def _damaged(self, directory: ServerDirectory) -> Server | None:
        """A server that lives, though nobody can read any more what it is; it can be removed."""
        if not directory.is_alive():
            return None
        created = datetime.fromtimestamp(directory.path.stat().st_mtime, timezone.utc)
        return Server(directory.path.name, "local", "dead", (), created, pid=directory.noted_pid())

    def _exit(self, record: Record) -> Exit:
        child, code = self._children.get(record.pid or 0), None
        if child is not None:
            with suppress(subprocess.TimeoutExpired):  # the lock is free a moment before the code is there
                code = child.wait(timeout=_EXIT_SECONDS)
        if code is not None and code < 0:
            code = 128 - code
        if code is None and record.stopped:
            code = 0
        return Exit(code)

    def _end(self, directory: ServerDirectory, grace: float) -> None:
        """Ends the process of `directory`, first gently."""
        record = directory.read()
        pid = record.pid if record else directory.noted_pid()
        if pid is None:
            return
        for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, _KILL_SECONDS)):
            if not directory.is_alive():
                break
            deadline, told = time.monotonic() + seconds, False
            while time.monotonic() < deadline and directory.is_alive():
                told = told or _tell(pid, number, directory.path.name)
                time.sleep(_POLL_SECONDS)
        child = self._children.get(pid)
        if child is not None:
            child.wait(timeout=_KILL_SECONDS)


def _tell(pid: int, number: signal.Signals, name: str) -> bool:
    """Signals a server whose lock is held: its pid is its own, and leads the group of all that it started.

    Returns:
        Whether there is that group; one that was forked a moment ago has yet to make it.

    Raises:
        EngineUnavailableError: it belongs to another user.
    """
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise EngineUnavailableError(
            f"The process {pid} of {name!r} belongs to another user.",
            hint="Let that user stop it, or root.",
            doctor=False,
        ) from error
    return True


def _with_model(plan: LaunchPlan, name: str, path: Path) -> dict[str, str]:
    """The plan's labels, which say of one more model where it is; how it is served stands in the models.config."""
    spec = _spec(plan)
    others = [model for model in spec.get("models", ()) if model.get("name") != name]
    spec["models"] = [*others, {"name": name, "path": str(path)}]
    return {**plan.labels, labels.SPEC: json.dumps(spec)}


def _spec(plan: LaunchPlan) -> dict[str, Any]:
    """What the plan's label says of its spec."""
    spec: dict[str, Any] = json.loads(plan.labels.get(labels.SPEC, "{}"))
    return spec

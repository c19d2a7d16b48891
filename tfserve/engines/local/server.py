"""A server as a process of this machine: how its state is read, and what can be done with it."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tfserve.addresses import reachable
from tfserve.engines.base import AddedModel, Diagnosis, Engine, Exit, Server
from tfserve.engines.conflicts import changed_elsewhere, exited_and_removed, name_taken, port_taken
from tfserve.engines.local import state as local_state
from tfserve.engines.local.signals import KILL_SECONDS, terminate
from tfserve.engines.local.state import Record, ServerDirectory
from tfserve.errors import NotReadyError, TfserveError
from tfserve.host.private import make_private
from tfserve.interrupts import interrupts_deferred
from tfserve.log_file import LIMIT_VARIABLE, MAX_BYTES, is_too_large, limit_of, shorten
from tfserve.plan import labels

if TYPE_CHECKING:
    from tfserve.engines.local.process import Process
    from tfserve.models.saved_model import ModelDirectory
    from tfserve.plan.launch_plan import LaunchPlan

__all__ = ["LocalServer", "read_server", "spawn"]

_EXIT_SECONDS = 1.0
_POLL_FLAG = "--model_config_file_poll_wait_seconds="
_SUSPENDED = ".replaced-"
_suspended: set[str] = set()  # the directories that this process has suspended


class ProcessEngine(Engine, Protocol):
    """What servers as processes need of their engine."""

    @property
    def children(self) -> dict[int, Process]:
        """The processes that it has started, by pid: only their parent can read their exit codes."""
        ...


@dataclass(frozen=True)
class LocalServer(Server):
    """A server as a process of the invoking user.

    Attributes:
        reload_socket: the UNIX socket on which it takes configuration reloads; None if its gRPC port takes them.
        sandboxed: whether it can use no more than its models.
    """

    engine: ProcessEngine = field(repr=False, compare=False)
    reload_socket: str | None = None
    sandboxed: bool = False

    @property
    def reload_address(self) -> str | Path | None:
        """Its UNIX socket, or the address of its gRPC API if it was started without one."""
        if self.reload_socket is None:
            return super().reload_address
        return Path(self.reload_socket) if self.running else None

    def logs(
        self,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
        timestamps: bool = False,
    ) -> Iterator[str]:
        from tfserve.engines.local.log import read_log

        more = self._directory.is_alive if follow else None
        yield from read_log(self._directory.log, tail=tail, since=since, timestamps=timestamps, more=more)

    def start(self) -> Server:
        """Starts it again from its record."""
        from tfserve.host.ports import is_free

        record = self._directory.read()
        published = (record.plan.rest, record.plan.grpc) if record and not self._directory.is_alive() else ()
        for port in filter(None, published):
            if not is_free(port.host, port.host_port):
                raise port_taken(port.host_port, port.host, server=self.name)
        return spawn(self.engine, self._directory)

    def stop(self, *, grace: float) -> None:
        """Sends SIGTERM, and SIGKILL after `grace` seconds."""
        record = self._directory.read()
        if record is None:
            return
        self._directory.write(dataclasses.replace(record, stopped=True))
        self._terminate(grace)
        if record.plan.remove:
            self._directory.remove()

    def remove(self) -> None:
        """Kills the process and removes its directory, and any that a killed command left suspended."""
        self._terminate(grace=0)
        self._directory.remove()
        _suspended.discard(self.name)
        suspended = local_state.directory_of(f"{_SUSPENDED}{self.name}")
        if suspended.path.name not in _suspended:
            suspended.remove()

    def models_config(self) -> str | None:
        try:
            return Path(self.config).read_text(encoding="utf-8") if self.config else None
        except (OSError, ValueError):
            return None

    def save_models_config(self, config: str, models: Sequence[str]) -> None:
        """Writes the file, and the names of the models into the record.

        The file keeps its inode if its server polls it: the sandbox is without a new one.
        """
        record = self._directory.read()
        if record is None or self.config is None:
            return
        with local_state.state_errors(self._directory.path):
            polled = any(flag.startswith(_POLL_FLAG) for flag in record.plan.command)
            self._directory.write_text(Path(self.config), config, in_place=polled)
            plan = dataclasses.replace(
                record.plan, models=tuple(models), files={**record.plan.files, self.config: config}
            )
            self._directory.write(dataclasses.replace(record, plan=plan))

    def add_model(self, name: str, directory: ModelDirectory) -> AddedModel:
        """Links the model beside the others, or copies it there if the sandbox of the process is without it.

        When the process is started again, its sandbox is with it, and a link replaces the copy.
        """
        from tfserve.engines.local.model_copies import copy_model
        from tfserve.plan.mounts import model_mount

        own = self._directory
        base_path = f"{own.path}/models/{name}"
        mount = model_mount(directory, base_path)
        record = own.read()
        copied = self.sandboxed and record is not None and not _is_mounted(record.plan, Path(mount.source))
        with local_state.state_errors(own.path):
            if record is not None:  # the record lists what the server can read
                others = [other for other in record.plan.mounts if not Path(other.target).is_relative_to(base_path)]
                plan = dataclasses.replace(
                    record.plan, mounts=(*others, mount), labels=_with_model(record.plan, name, directory.path)
                )
                own.write(dataclasses.replace(record, plan=plan))
            own.unlink(Path(base_path))
            if copied:
                copy_model(Path(mount.source), Path(mount.target))
            else:
                own.link(mount)
        return AddedModel(base_path, copied)

    def versions(self, base_path: str) -> tuple[int, ...]:
        from tfserve.models.saved_model import version_numbers

        return version_numbers(path.name for path in Path(base_path).glob("*/"))

    def environment(self) -> Mapping[str, str]:
        record = self._directory.read()
        return record.plan.environment if record else {}

    def diagnose(self, log: Sequence[str], exited: Exit | None) -> Diagnosis | None:
        from tfserve.engines.diagnosis import recognize
        from tfserve.engines.local.causes import LOCAL_CAUSES, SANDBOX_CAUSES

        return recognize(log, exited, gpu=self.gpu, first=SANDBOX_CAUSES if self.sandboxed else LOCAL_CAUSES)

    def suspend(self, *, grace: float) -> Server:
        """Stops the process and renames its directory."""
        self._terminate(grace)
        suspended = self._directory.path.with_name(f"{_SUSPENDED}{self.name}")
        ServerDirectory(suspended).remove()
        try:
            with local_state.state_errors(self._directory.path):
                self._directory.path.rename(suspended)
        except TfserveError:
            if self.running:
                spawn(self.engine, self._directory)
            raise
        _suspended.add(suspended.name)
        return dataclasses.replace(self, name=suspended.name)

    def restore(self, original: Server) -> None:
        """Gives the directory its name back, and starts the process if it was running."""
        directory = local_state.directory_of(original.name)
        with local_state.state_errors(directory.path):
            try:
                self._directory.path.rename(directory.path)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    raise changed_elsewhere(original.name) from error
                raise
        _suspended.discard(self.name)
        if original.running:
            spawn(self.engine, directory)

    @property
    def _directory(self) -> ServerDirectory:
        return local_state.directory_of(self.name)

    def _terminate(self, grace: float) -> None:
        """Terminates the process, and kills it after `grace` seconds."""
        directory = self._directory
        terminate(directory, grace)
        for pid in self.engine.children.keys() & directory.pids():
            self.engine.children[pid].wait(timeout=KILL_SECONDS)


def spawn(engine: ProcessEngine, directory: ServerDirectory, secrets: Mapping[str, str] | None = None) -> LocalServer:
    """Starts the process of a server.

    Args:
        engine: the engine of the server, to whose children the process is added.
        directory: the directory of the server, with its record.
        secrets: variables that are not recorded; a later start takes them from the environment of its command.
    """
    from tfserve.engines.local.model_copies import replace_copies
    from tfserve.engines.local.process import Start, start_process
    from tfserve.engines.local.runtime import not_started
    from tfserve.engines.local.sandbox import sandboxed
    from tfserve.engines.local.variables import refuse_variables

    record = directory.read()
    if record is None:
        raise _without_record(directory)
    refuse_variables(record.plan.environment)  # it may have been recorded by an earlier version
    with ExitStack() as descriptors:
        with local_state.state_errors(directory.path):
            log = directory.open(directory.log, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            descriptors.callback(os.close, log)
            lock = directory.take_lock()
        if lock is None:
            raise name_taken(directory.path.name)
        descriptors.callback(os.close, lock)
        with local_state.state_errors(directory.path):
            environment = {
                LIMIT_VARIABLE: str(MAX_BYTES),
                **os.environ,
                **record.plan.environment,
                **(secrets or {}),
            }
            limit = limit_of(environment)
            if limit is not None and is_too_large(log, limit):  # a program may not shorten it itself
                shorten(log, limit)
            if record.plan.reload_socket:
                make_private(Path(record.plan.reload_socket).parent, local_state.STATE_VARIABLE)
            start = Start(record.plan.command, directory.path, environment, log, lock)
            if record.plan.sandbox is not None:
                replace_copies(record.plan.mounts)
        if record.plan.sandbox is not None:
            start = descriptors.enter_context(sandboxed(start, record.plan))
        descriptors.enter_context(interrupts_deferred())  # until the process is recorded
        try:
            process = start_process(start)
        except OSError as error:
            raise not_started(record.plan.command[0], error) from error
        directory.note_pid(lock, process.pid)
        engine.children[process.pid] = process
        try:
            directory.write(dataclasses.replace(record, pid=process.pid, stopped=False))
        except BaseException:  # a process without a record must not stay
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    server = read_server(engine, directory)
    if server is None:
        raise exited_and_removed(directory.path.name) if record.plan.remove else _without_record(directory)
    return server


def read_server(engine: ProcessEngine, directory: ServerDirectory) -> LocalServer | None:
    """Reads the state of a server from its directory; None if there is none."""
    record = directory.read()
    if record is None:
        return _damaged(engine, directory)
    plan, alive = record.plan, directory.is_alive()
    if plan.remove and record.pid is not None and not alive:
        directory.remove()
        return None
    label = plan.labels.get(labels.SPEC, "")
    return LocalServer(
        name=directory.path.name,
        engine=engine,
        state="running" if alive else "exited",
        models=plan.models,
        created=record.created,
        rest_url=f"http://{reachable(plan.rest.host, plan.rest.host_port)}" if alive and plan.rest else None,
        grpc_address=reachable(plan.grpc.host, plan.grpc.host_port) if alive and plan.grpc else None,
        pid=record.pid if alive else None,
        exit=None if alive else _exit(engine, record),
        auto_remove=plan.remove,
        mounts=tuple(mount.source for mount in plan.mounts),
        config=plan.labels.get(labels.CONFIG),
        label=label,
        reload_socket=plan.reload_socket,
        sandboxed=plan.sandbox is not None,
    )


def _damaged(engine: ProcessEngine, directory: ServerDirectory) -> LocalServer | None:
    """A running server whose record cannot be read; it can be removed."""
    if not directory.is_alive():
        return None
    created = datetime.fromtimestamp(directory.path.stat().st_mtime, timezone.utc)
    return LocalServer(directory.path.name, engine, "dead", (), created, pid=directory.noted_pid())


def _without_record(directory: ServerDirectory) -> NotReadyError:
    name = directory.path.name
    return NotReadyError(
        f"The record of the server {name!r} is missing or damaged.",
        hint=f"Check whether the server is still listed: tfserve ps. To remove it: tfserve rm --force {name}",
    )


def _exit(engine: ProcessEngine, record: Record) -> Exit:
    import subprocess

    child, code = engine.children.get(record.pid or 0), None
    if child is not None:
        with suppress(subprocess.TimeoutExpired):  # the lock is released a moment before the code is available
            code = child.wait(timeout=_EXIT_SECONDS)
    if code is not None and code < 0:
        code = 128 - code
    if code is None and record.stopped:
        code = 0
    return Exit(code)


def _is_mounted(plan: LaunchPlan, path: Path) -> bool:
    """Whether the process of a plan can read `path`: links lead to what it could read when it was started."""
    from tfserve.engines.local.model_paths import reads_all_below

    linked = (Path(mount.source) for mount in plan.mounts if Path(mount.target).is_symlink())
    return any(path == source or (path.is_relative_to(source) and reads_all_below(source)) for source in linked)


def _with_model(plan: LaunchPlan, name: str, path: Path) -> dict[str, str]:
    """Returns the plan's labels with one more model in the spec."""
    return {**plan.labels, labels.SPEC: labels.with_model(plan.labels.get(labels.SPEC, "{}"), name, path)}

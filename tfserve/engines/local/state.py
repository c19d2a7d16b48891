"""The files of a local server: its plan, its log, and the lock that shows whether it is running.

Each server has a directory of its name under ``$XDG_STATE_HOME/tfserve/servers``. Its process inherits a lock on a file
there, which is released when the process exits for any reason. Therefore a dead or reused pid is never mistaken for a
server, and only the pid of a running server is ever signaled.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from tfserve.engines.conflicts import name_taken
from tfserve.errors import EngineUnavailableError
from tfserve.host.directories import user_directory

if TYPE_CHECKING:
    from tfserve.plan.launch_plan import LaunchPlan, Mount

__all__ = ["Record", "ServerDirectory", "create", "directories", "directory_of", "servers_root"]

_RECORD = "server.json"
_SET = "Set XDG_STATE_HOME to a writable directory, for example: export XDG_STATE_HOME=/tmp/state"
_LOOK_SECONDS = 0.1  # a check whether a server is running holds the lock for much less
_RETRY_SECONDS = 0.001


@dataclass(frozen=True)
class Record:
    """The record of a server: its plan, when it was created, its last pid, and whether tfserve stopped it."""

    plan: LaunchPlan
    created: datetime
    pid: int | None = None
    stopped: bool = False


def servers_root() -> Path:
    """The directory of all local servers, under ``$XDG_STATE_HOME``.

    Raises:
        EngineUnavailableError: the variable is not set, and this user has no home directory.
    """
    state = user_directory("state")
    if state is None:
        raise EngineUnavailableError(
            "The local engine cannot keep its state: this user has no home directory.", hint=_SET
        )
    return state / "servers"


def directory_of(name: str) -> ServerDirectory:
    """The directory of the server `name`, whether or not it exists."""
    return ServerDirectory(servers_root() / name)


def directories() -> list[ServerDirectory]:
    """The directories of all servers that have a readable record or are running."""
    root = servers_root()
    with state_errors(root):
        try:
            found = [ServerDirectory(path) for path in root.iterdir() if not path.name.startswith(".")]
        except (FileNotFoundError, NotADirectoryError):
            return []
    return [directory for directory in found if directory.read() is not None or directory.is_alive()]


def create(plan: LaunchPlan) -> ServerDirectory:
    """Creates the directory of a new server atomically, so that only one of two simultaneous attempts succeeds.

    Raises:
        NameTakenError: a server of this name exists.
        EngineUnavailableError: the state directory cannot be written.
    """
    import tempfile

    root = servers_root()
    with state_errors(root):
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = ServerDirectory(Path(tempfile.mkdtemp(prefix=f".{plan.name}-", dir=root)))
        try:
            draft.write(Record(plan, datetime.now(timezone.utc)))
            draft.log.touch()
            draft.lock.touch()
            for mount in plan.mounts:
                draft.link(mount, made_for=root / plan.name)
            for path, text in plan.files.items():
                (draft.path / Path(path).relative_to(root / plan.name)).write_text(text, encoding="utf-8")
            try:
                draft.path.rename(root / plan.name)
            except OSError:
                _clear(directory_of(plan.name))
                draft.path.rename(root / plan.name)
        except BaseException as error:
            draft.remove()
            if isinstance(error, OSError) and (root / plan.name).exists():
                raise name_taken(plan.name) from None
            raise
    return directory_of(plan.name)


def _clear(directory: ServerDirectory) -> None:
    """Removes the rest of a server whose record is damaged: it is not listed, but would keep its name taken."""
    from filelock import FileLock

    with FileLock(directory.path.parent / ".lock", mode=0o600):  # no other process can remove and create it in between
        if directory.path.exists() and directory.read() is None and not directory.is_alive():
            directory.remove()


@contextmanager
def state_errors(root: Path) -> Iterator[None]:
    """Turns errors of the state directory, such as a full disk, into errors that explain what to do."""
    try:
        yield
    except OSError as error:
        raise EngineUnavailableError(
            f"The local engine cannot keep its state under {str(root)!r}: {error.strerror}.",
            hint=_SET,
        ) from None


@dataclass(frozen=True)
class ServerDirectory:
    """The directory of one local server."""

    path: Path

    @property
    def log(self) -> Path:
        """The file with everything that the server has written."""
        return self.path / "server.log"

    @property
    def lock(self) -> Path:
        """The file that the server's process holds locked."""
        return self.path / "lock"

    def read(self) -> Record | None:
        """Reads the record; None if it is missing or damaged."""
        from tfserve.plan import launch_plan as plans

        try:
            data = json.loads((self.path / _RECORD).read_text(encoding="utf-8"))
            plan = plans.from_json(data["plan"])
            return Record(plan, datetime.fromisoformat(data["created"]), data["pid"], data["stopped"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, record: Record) -> None:
        """Writes the record atomically."""
        from tfserve.plan import launch_plan as plans

        data = {
            "plan": plans.to_json(record.plan),
            "created": record.created.isoformat(),
            "pid": record.pid,
            "stopped": record.stopped,
        }
        draft = self.path / f".{_RECORD}.{os.getpid()}"
        draft.write_text(json.dumps(data), encoding="utf-8")
        draft.replace(self.path / _RECORD)

    def link(self, mount: Mount, made_for: Path | None = None) -> None:
        """Links what `mount` mounts. Its target is in `made_for`, to which this directory will be renamed."""
        link = self.path / Path(mount.target).relative_to(made_for or self.path)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(mount.source)

    def unlink(self, base_path: Path) -> None:
        """Removes the link of a model, or the directory with the link of its only version."""
        if base_path.is_dir() and not base_path.is_symlink():
            shutil.rmtree(base_path)
        base_path.unlink(missing_ok=True)

    def take_lock(self) -> int | None:
        """Locks the directory for a new process, and returns the descriptor to inherit; None if it is locked."""
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + _LOOK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    return None
                time.sleep(_RETRY_SECONDS)
            else:
                return descriptor

    def note_pid(self, lock: int, pid: int) -> None:
        """Writes the pid of the process that inherits the lock into its file, in case the record is damaged later."""
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(pid).encode(), 0)

    def noted_pid(self) -> int | None:
        """The pid that `note_pid` wrote."""
        try:
            return int(self.lock.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def is_alive(self) -> bool:
        """Whether the server's process is running."""
        try:
            descriptor = os.open(self.lock, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def remove(self) -> None:
        """Removes the directory and everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)

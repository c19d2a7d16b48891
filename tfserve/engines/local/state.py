"""The files of a local server: its plan, its log, and the lock that shows whether it is running.

Each server has a directory of its name under ``$XDG_STATE_HOME/tfserve/servers``. Its process inherits a lock on a file
there, which is released when the process exits for any reason. Therefore a dead or reused pid is never mistaken for a
server, and only the pid of a running server is ever signaled. Nothing here is trusted that another user could have
written; see `tfserve.host.private`.
"""

from __future__ import annotations

import fcntl
import json
import os
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
from tfserve.host.private import check_private, make_private, open_private, read_private, write_private
from tfserve.host.removal import remove_tree

if TYPE_CHECKING:
    from tfserve.plan.launch_plan import LaunchPlan, Mount

__all__ = ["STATE_VARIABLE", "Record", "ServerDirectory", "create", "directories", "directory_of", "servers_root"]

_RECORD = "server.json"
STATE_VARIABLE = "XDG_STATE_HOME"
"""The environment variable that sets where the state of servers is."""
_SET = f"Choose a directory of your own that can be written: export {STATE_VARIABLE}=DIRECTORY"
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
        NotPrivateError: another user could change what is there.
    """
    state = user_directory("state")
    if state is None:
        raise EngineUnavailableError(
            "The local engine cannot keep its state: this user has no home directory.", hint=_SET
        )
    root = state / "servers"
    for directory in (state, root):
        check_private(directory, STATE_VARIABLE)
    return root


def directory_of(name: str) -> ServerDirectory:
    """The directory of the server `name`, whether or not it exists.

    Raises:
        NotPrivateError: another user could change what is there.
    """
    directory = servers_root() / name
    check_private(directory, STATE_VARIABLE)
    return ServerDirectory(directory)


def directories() -> list[ServerDirectory]:
    """The directories of all servers that have a readable record or are running."""
    root = servers_root()
    with state_errors(root):
        try:
            found = [directory_of(path.name) for path in root.iterdir() if not path.name.startswith(".")]
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
        make_private(root, STATE_VARIABLE)
        draft = ServerDirectory(Path(tempfile.mkdtemp(prefix=f".{plan.name}-", dir=root)))
        try:
            draft.path.chmod(0o700)  # under any umask
            draft.write(Record(plan, datetime.now(timezone.utc)))
            for file in (draft.log, draft.lock):
                os.close(draft.open(file, os.O_WRONLY | os.O_CREAT))
            for mount in plan.mounts:
                draft.link(mount, made_for=root / plan.name)
            for path, text in plan.files.items():
                draft.write_text(draft.path / Path(path).relative_to(root / plan.name), text)
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
            data = json.loads(read_private(self.path / _RECORD, STATE_VARIABLE))
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
        self.write_text(self.path / _RECORD, json.dumps(data))

    def write_text(self, path: Path, text: str, *, in_place: bool = False) -> None:
        """Writes a file in the directory, atomically unless it is written in place; only this user can read it."""
        if not in_place:
            write_private(path, text, STATE_VARIABLE)
            return
        with os.fdopen(self.open(path, os.O_RDWR), "r+b") as file:
            file.write(text.encode())
            file.truncate()

    def open(self, path: Path, flags: int) -> int:
        """Opens a file in the directory, after a check that no other user can change it."""
        return open_private(path, flags, STATE_VARIABLE)

    def link(self, mount: Mount, made_for: Path | None = None) -> None:
        """Links what `mount` mounts. Its target is in `made_for`, to which this directory will be renamed."""
        link = self.path / Path(mount.target).relative_to(made_for or self.path)
        make_private(link.parent, STATE_VARIABLE)
        link.symlink_to(mount.source)

    def unlink(self, base_path: Path) -> None:
        """Removes the link of a model, or the directory with the link of its only version."""
        remove_tree(base_path)

    def take_lock(self) -> int | None:
        """Locks the directory for a new process, and returns the descriptor to inherit; None if it is locked."""
        descriptor = self.open(self.lock, os.O_RDWR | os.O_CREAT)
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
            return int(read_private(self.lock, STATE_VARIABLE))
        except (OSError, ValueError):
            return None

    def pids(self) -> set[int]:
        """The pids of the server in its record and in its lock file, which are the same unless one was changed."""
        record = self.read()
        return {pid for pid in (record.pid if record else None, self.noted_pid()) if pid is not None}

    def is_alive(self) -> bool:
        """Whether the server's process is running."""
        try:
            descriptor = self.open(self.lock, os.O_RDONLY)
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
        remove_tree(self.path, ignore_errors=True)

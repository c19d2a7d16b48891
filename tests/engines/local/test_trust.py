"""Nothing in the state directory is believed that another user could have put there."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.program import Plan, Program, assert_error
from tfserve.engines.local import state as local_state
from tfserve.engines.local.engine import LocalEngine
from tfserve.engines.local.model_copies import copy_model
from tfserve.errors import EngineUnavailableError, NotPrivateError
from tfserve.host.landlock import landlock_abi
from tfserve.plan import launch_plan

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")


def plant(tfserve: Program, python_plan: Plan, name: str = "web") -> Path:
    """Writes the record of a server whose command leaves a mark, and returns the mark."""
    mark = tfserve.home / "mark"
    server = tfserve.servers / name
    server.mkdir(parents=True, mode=0o700)
    plan = launch_plan.to_json(python_plan(f"open({str(mark)!r}, 'w')", name=name))
    record = {"plan": plan, "created": "2026-11-30T00:00:00+00:00", "pid": None, "stopped": True}
    for file, text in (("server.json", json.dumps(record)), ("lock", ""), ("server.log", "")):
        (server / file).write_text(text)
        (server / file).chmod(0o600)
    for directory in server.parents[:2]:
        directory.chmod(0o700)
    return mark


COMMANDS = [
    ("start", "web", "--wait", "0"),
    ("stop", "web"),
    ("restart", "web"),
    ("rm", "--force", "web"),
    ("logs", "web"),
]


@needs_root
@pytest.mark.parametrize("name", ["", "..", "web", "web/server.json", "web/lock"])
def test_a_server_of_another_user(tfserve: Program, python_plan: Plan, name: str) -> None:
    mark = plant(tfserve, python_plan)
    path = Path(os.path.normpath(tfserve.servers / name))
    os.chown(path, NOBODY, -1)
    for command in COMMANDS if name in ("", "web/server.json") else COMMANDS[:1]:
        assert_error(tfserve(*command), 4, "tfserve does not use", str(path), "nobody (uid 65534)", "XDG_STATE_HOME")
    assert not mark.exists()
    assert (tfserve.servers / "web" / "server.json").exists()


@pytest.mark.parametrize("mode", [0o777, 0o702])
@pytest.mark.parametrize("name", ["", "..", "../..", "web", "web/server.json"])
def test_a_server_that_others_can_change(tfserve: Program, python_plan: Plan, name: str, mode: int) -> None:
    mark = plant(tfserve, python_plan)
    path = Path(os.path.normpath(tfserve.servers / name))
    path.chmod(mode)
    assert_error(tfserve("start", "web", "--wait", "0"), 4, f"chmod go-w {path}", f"(mode {mode:o})")
    assert not mark.exists()
    path.chmod(0o700)
    assert tfserve("start", "web", "--wait", "0").returncode == 0


@needs_root
def test_a_directory_that_is_not_believed_is_reported(tfserve: Program, python_plan: Plan, half_plus_two: Path) -> None:
    plant(tfserve, python_plan)
    os.chown(tfserve.servers, NOBODY, -1)
    assert "does not use" in tfserve("ps").stderr
    assert "does not use" in tfserve("doctor").stdout
    for arguments in ((), ("--dry-run",)):
        assert_error(tfserve("run", half_plus_two, "--engine", "local", *arguments), 4, "does not use")
    (tfserve.home / "tfserve.yaml").write_text("servers: {web: {models: [/m]}}")
    assert_error(tfserve("down", "-f", tfserve.home / "tfserve.yaml"), 4, "does not use")


@pytest.mark.usefixtures("state_home")
@pytest.mark.parametrize("umask", [0, 0o002, 0o777])
def test_everything_is_created_for_this_user_alone(python_plan: Plan, umask: int, state_home: Path) -> None:
    before = os.umask(umask)
    try:
        root = local_state.servers_root()
        plan = python_plan(
            files={f"{root}/m/models.config": "text"}, mounts=(launch_plan.Mount("/", f"{root}/m/models/m/1"),)
        )
        directory = local_state.create(plan)
    finally:
        os.umask(before)
    found = [state_home / "tfserve", *(path for path in state_home.rglob("*") if not path.is_symlink())]
    assert {path.stat().st_mode & 0o777 for path in found if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in found if path.is_file()} == {0o600}
    assert len([path for path in found if path.is_file()]) == 4
    assert directory.read() is not None


@pytest.mark.skipif(landlock_abi() == 0, reason="the kernel has no Landlock")
def test_directories_of_a_process_are_its_own_under_any_umask(
    engine: LocalEngine, python_plan: Plan, state_home: Path
) -> None:
    path = local_state.directory_of("m").path
    before = os.umask(0o777)
    try:
        engine.launch(python_plan(sandbox=launch_plan.Sandbox(), reload_socket=f"{path}/run/reload"))
    finally:
        os.umask(before)
    assert [(path / name).stat().st_mode & 0o777 for name in ("run", "tmp")] == [0o700, 0o700]


def test_a_copy_is_for_this_user_alone_under_any_umask(state_home: Path, tmp_path: Path) -> None:
    model, copy = tmp_path / "model", state_home / "models" / "m"
    (model / "1" / "variables").mkdir(parents=True)
    before = os.umask(0o777)
    try:
        copy_model(model, copy)
    finally:
        os.umask(before)
    made = (copy.parent, copy, copy / "1", copy / "1" / "variables")
    assert {path.stat().st_mode & 0o777 for path in made} == {0o700}


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that leads a group, and has nothing to do with a server."""
    command = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(command, start_new_session=True) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("damaged", [False, True])
def test_a_process_without_the_lock_is_not_signaled(
    engine: LocalEngine, python_plan: Plan, stranger: subprocess.Popen[bytes], damaged: bool
) -> None:
    """A lock that another process holds does not make the process of the record a server."""
    directory = local_state.create(python_plan())
    lock = directory.take_lock()
    assert lock is not None
    directory.note_pid(lock, stranger.pid)
    record = directory.read()
    assert record is not None
    directory.write(dataclasses.replace(record, pid=stranger.pid))
    if damaged:
        (directory.path / "server.json").write_text("{")
    (server,) = engine.servers()
    with pytest.raises(EngineUnavailableError, match=f"The process {stranger.pid} is not the server 'm'") as caught:
        server.remove()
    assert f"fuser -v {directory.lock}" in str(caught.value.hint)
    assert stranger.poll() is None
    os.close(lock)


@pytest.mark.parametrize("leads", [True, False])
def test_a_record_with_the_pid_of_another_process(
    engine: LocalEngine, python_plan: Plan, stranger: subprocess.Popen[bytes], leads: bool
) -> None:
    """The server is stopped by the pid in its lock file, whether or not the other process leads a group."""
    server = engine.launch(python_plan())
    assert server.pid is not None
    directory = local_state.directory_of("m")
    record = directory.read()
    assert record is not None
    directory.write(dataclasses.replace(record, pid=stranger.pid if leads else 2**22))
    (server,) = engine.servers()
    server.stop(grace=20)
    assert not directory.is_alive()
    assert stranger.poll() is None


@pytest.mark.parametrize("noted", [True, False])
def test_a_server_that_lives_on_is_not_reported_as_stopped(
    engine: LocalEngine, python_plan: Plan, noted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfserve.engines.local.signals.KILL_SECONDS", 0.05)
    directory = local_state.create(python_plan())
    lock = directory.take_lock()
    assert lock is not None
    if noted:
        directory.note_pid(lock, 2**22)  # no process can have it
    (server,) = engine.servers()
    for stop in (functools.partial(server.stop, grace=0), server.remove):
        with pytest.raises(EngineUnavailableError, match="The server 'm' is still running") as caught:
            stop()
        assert f"fuser -v {directory.lock}" in str(caught.value.hint)
    assert directory.read() is not None
    os.close(lock)


@needs_root
def test_a_process_of_another_user_is_not_signaled(engine: LocalEngine, python_plan: Plan) -> None:
    directory = local_state.create(python_plan())
    lock = directory.take_lock()
    assert lock is not None
    program = "import os, time; os.setuid(65534); print(flush=True); time.sleep(60)"
    command = [sys.executable, "-S", "-c", program]
    with subprocess.Popen(command, pass_fds=[lock], start_new_session=True, stdout=subprocess.PIPE) as process:
        os.close(lock)
        assert process.stdout is not None
        process.stdout.readline()
        record = directory.read()
        assert record is not None
        directory.write(dataclasses.replace(record, pid=process.pid))
        (server,) = engine.servers()
        with pytest.raises(EngineUnavailableError, match="belongs to another user"):
            server.stop(grace=1)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)


@needs_root
def test_a_lock_of_another_user_is_not_waited_for(state_home: Path) -> None:
    from tfserve.host.server_lock import is_locked, server_lock
    from tfserve.progress import Silent

    locks = state_home / "tfserve" / "locks"
    locks.mkdir(parents=True, mode=0o700)
    holder = "import fcntl, sys; fcntl.flock(open(sys.argv[1], 'w'), 2); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", holder, locks / "m"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert is_locked("m")
        os.chown(locks, NOBODY, -1)
        assert not is_locked("m")
        with server_lock("m", Silent()):
            pass
        process.communicate(b"\n")


@needs_root
def test_the_state_directory_of_another_user(engine: LocalEngine, python_plan: Plan, state_home: Path) -> None:
    state_home.mkdir(exist_ok=True)
    os.chown(state_home, NOBODY, -1)
    with pytest.raises(NotPrivateError):
        engine.launch(python_plan())
    assert list(state_home.iterdir()) == []
    os.chown(state_home, 0, -1)

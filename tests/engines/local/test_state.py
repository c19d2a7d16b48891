from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.program import eventually
from tfserve.engines.local import state as local_state
from tfserve.errors import EngineUnavailableError, NameTakenError
from tfserve.plan.launch_plan import LaunchPlan, Mount

pytestmark = pytest.mark.usefixtures("state_home")


def plan(name: str = "m") -> LaunchPlan:
    model = local_state.directory_of(name).path / "models" / "m"
    return LaunchPlan(name, ("m",), (Mount("/", str(model)),), None, None, {"TOKEN": "s3cret"}, ("true",))


def left() -> list[str]:
    """The servers, and any incomplete directories."""
    return sorted(path.name for path in local_state.servers_root().iterdir() if path.name != ".lock")


def test_the_directory(state_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert local_state.servers_root() == state_home / "tfserve" / "servers"
    monkeypatch.setenv("HOME", "/home/ada")
    for value in ("", "relative/path"):  # the XDG specification requires to ignore relative paths
        monkeypatch.setenv("XDG_STATE_HOME", value)
        assert local_state.servers_root() == Path("/home/ada/.local/state/tfserve/servers")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert local_state.servers_root() == Path("/home/ada/.local/state/tfserve/servers")


def test_create() -> None:
    before = datetime.now(timezone.utc)
    directory = local_state.create(plan())
    record = directory.read()
    assert record is not None
    assert (record.plan, record.pid, record.stopped) == (plan(), None, False)
    assert before <= record.created <= datetime.now(timezone.utc)
    assert (directory.path / "models" / "m").readlink() == Path("/")
    assert directory.log.read_bytes() == b""
    assert local_state.directories() == [directory]


def test_it_is_private() -> None:
    """A record holds the values of the environment, which may be secrets."""
    directory = local_state.create(plan())
    assert directory.path.stat().st_mode & 0o077 == 0
    assert local_state.servers_root().stat().st_mode & 0o077 == 0


def test_a_name_is_taken_once() -> None:
    local_state.create(plan())
    with pytest.raises(NameTakenError, match="'m' is taken") as caught:
        local_state.create(plan())
    assert "tfserve rm m" in str(caught.value.hint)
    assert left() == ["m"]


@pytest.mark.parametrize("damaged", [False, True])
def test_exactly_one_of_many_simultaneous_attempts_succeeds(damaged: bool) -> None:
    barrier = threading.Barrier(8)

    def create(_: int) -> bool:
        barrier.wait()
        try:
            local_state.create(plan())
        except NameTakenError:
            return False
        return True

    for _ in range(20):
        if damaged:
            (local_state.create(plan()).path / "server.json").write_text("")
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(create, range(8))) == 1
        assert left() == ["m"]
        local_state.directory_of("m").remove()


def test_write_and_read() -> None:
    directory = local_state.create(plan())
    record = directory.read()
    assert record is not None
    changed = dataclasses.replace(record, pid=7, stopped=True)
    directory.write(changed)
    assert directory.read() == changed


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", '"x"', "{}", '{"plan": 1}', '{"plan": "{}", "created": "2026-01-01"}', "\udcff"]
)
def test_a_damaged_record_is_not_a_server_and_frees_its_name(text: str) -> None:
    directory = local_state.create(plan())
    (directory.path / "server.json").write_text(text, errors="surrogateescape")
    assert directory.read() is None
    assert local_state.directories() == []
    assert local_state.create(plan()).read() is not None


def test_a_damaged_record_of_a_running_server_keeps_its_name() -> None:
    directory = local_state.create(plan())
    (directory.path / "server.json").write_text("{")
    lock = directory.take_lock()
    assert lock is not None
    with pytest.raises(NameTakenError):
        local_state.create(plan())
    os.close(lock)


def test_drafts_and_suspended_servers_are_not_listed() -> None:
    directory = local_state.create(plan())
    directory.path.rename(directory.path.with_name(".replaced-m"))
    assert local_state.directories() == []


@pytest.mark.parametrize("place", ["a file", "a directory of the system"])
def test_a_state_directory_that_cannot_be_written(
    place: str, state_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "a file":
        state_home.write_text("")
    else:
        monkeypatch.setenv("XDG_STATE_HOME", "/proc/state")  # which not even root can make
    assert local_state.directories() == []
    with pytest.raises(EngineUnavailableError, match="cannot keep its state under") as caught:
        local_state.create(plan())
    assert "XDG_STATE_HOME" in str(caught.value.hint)


def test_a_state_directory_that_cannot_be_read(state_home: Path) -> None:
    root = local_state.servers_root()
    root.parent.mkdir(parents=True)
    root.symlink_to(root)
    with pytest.raises(EngineUnavailableError, match="cannot keep its state under"):
        local_state.directories()


def test_the_lock_shows_whether_a_server_is_running() -> None:
    directory = local_state.create(plan())
    assert not directory.is_alive()
    lock = directory.take_lock()
    assert lock is not None
    assert directory.is_alive()
    assert directory.take_lock() is None
    os.close(lock)
    assert not directory.is_alive()


def test_without_a_lock_it_is_not_running() -> None:
    directory = local_state.create(plan())
    directory.lock.unlink()
    assert not directory.is_alive()
    directory.remove()
    assert not directory.is_alive()


def test_a_check_does_not_prevent_a_start() -> None:
    """A check whether a server is running holds its lock for a moment, for which a start waits."""
    directory = local_state.create(plan())
    done = threading.Event()
    looks = 0

    def look() -> None:
        nonlocal looks
        while not done.is_set():
            directory.is_alive()
            looks += 1

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(300):
            lock = directory.take_lock()
            assert lock is not None
            os.close(lock)
        eventually(lambda: looks)
    finally:
        done.set()
        watcher.join()


def test_what_a_model_wrote_is_removed(make_deep: Callable[..., None]) -> None:
    """It can make directories so deep that Python's own removal fails."""
    directory = local_state.create(plan())
    for name in ("tmp", "models/n"):
        make_deep(directory.path / name, 1001)
    directory.unlink(directory.path / "models" / "n")
    assert not (directory.path / "models" / "n").exists()
    directory.remove()
    assert left() == []


def test_remove_leaves_the_model_alone(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "file").touch()
    target = str(local_state.directory_of("m").path / "models" / "m")
    directory = local_state.create(dataclasses.replace(plan(), mounts=(Mount(str(model), target),)))
    directory.remove()
    assert not directory.path.exists()
    assert (model / "file").exists()

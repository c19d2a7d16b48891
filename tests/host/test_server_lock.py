from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.program import eventually
from tests.recorded_progress import RecordedProgress
from tfserve.host.server_lock import is_locked, server_lock
from tfserve.progress import Silent

HOLD = """
from tfserve.progress import Silent
from tfserve.host.server_lock import server_lock
with server_lock("m", Silent()):
    print("locked", flush=True)
    input()
"""


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.usefixtures("state_home")
def test_second_command_waits_for_first(killed: bool) -> None:
    progress, order = RecordedProgress(), []

    def second() -> None:
        with server_lock("m", progress):
            order.append("second")

    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdin is not None
        assert first.stdout is not None
        assert first.stdout.readline() == b"locked\n"
        assert is_locked("m")
        with server_lock("other", progress):
            pass
        waiting = threading.Thread(target=second)
        waiting.start()
        eventually(lambda: progress.notices)
        assert progress.notices == ["Waiting for another tfserve command that is changing the server 'm'"]
        order.append("first")
        if killed:
            first.kill()
        else:
            first.stdin.write(b"\n")
        first.stdin.close()
        waiting.join(20)
    assert order == ["first", "second"]
    assert not is_locked("m")


def test_lock_is_reentrant_and_removes_its_file(state_home: Path) -> None:
    with server_lock("m", Silent()):
        with server_lock("m", Silent()):
            assert is_locked("m")
        assert is_locked("m")
    assert list((state_home / "tfserve" / "locks").iterdir()) == []


@pytest.mark.parametrize("state", ["/proc/state", "file"])
def test_no_lock_where_the_file_cannot_be_created(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", os.path.join(tmp_path, state))  # noqa: PTH118 - join() keeps an absolute path
    with server_lock("m", Silent()):
        assert not is_locked("m")

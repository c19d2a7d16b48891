from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from tests.model_server.server_process import ServerProcess
from tfserve.model_server.runtime.priority import MODEL_NICENESS

MAX_NICENESS = 19

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness of their own on Linux only")


def test_threads_that_run_models_have_a_lower_priority_than_the_event_loop(server: ServerProcess) -> None:
    pid = server.process.pid
    niceness = {int(task.name): _niceness(task) for task in Path(f"/proc/{pid}/task").iterdir()}
    own = _niceness(Path(f"/proc/self/task/{threading.get_native_id()}"))
    assert niceness[pid] == own
    assert sum(value == min(own + MODEL_NICENESS, MAX_NICENESS) for value in niceness.values()) >= 2


def _niceness(task: Path) -> int:
    return int((task / "stat").read_text().rpartition(")")[2].split()[16])

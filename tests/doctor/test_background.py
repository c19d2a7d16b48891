from __future__ import annotations

import subprocess
import sys

import pytest

from tfserve.doctor.background import in_background

HANGING = """
import threading
from concurrent.futures import TimeoutError
from tfserve.doctor.background import in_background
try:
    in_background(threading.Event().wait).result(0.05)
except TimeoutError:
    print("timeout", flush=True)
"""


def test_result_and_error() -> None:
    assert in_background(lambda: 7).result(20) == 7
    with pytest.raises(ZeroDivisionError):
        in_background(lambda: 1 / 0).result(20)


def test_program_ends_while_the_work_hangs() -> None:
    done = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (0, "timeout\n"), done.stderr

"""The time and memory of ``tfserve package`` for a model of 1 GB, compared with the commands of the guide."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.benchmarks.command_line import HALF_PLUS_TWO, TFSERVE
from tests.benchmarks.pairs import Effort, Row, compare, run

_IMAGE = "tfserve-benchmark/packaged:1"
_BASE = "tensorflow/serving"
_CONTAINER = "tfserve-benchmark-by-hand"
_MEBIBYTES = 1000
_POLL_SECONDS = 0.005
_SHARE_OF_ROUNDS = 5  # 1 GB is written four times in each


def rows(effort: Effort) -> Iterator[Row]:
    """Yields the rows of this part."""
    run(["docker", "pull", _BASE])
    with _model(_MEBIBYTES) as big, _model(0) as small:
        yield compare(
            f"tfserve package of a model of {_MEBIBYTES} MiB",
            lambda: _removed_after(lambda: run(_package(big))),
            "docker create, docker cp, docker commit",
            lambda: _removed_after(lambda: _by_hand(big)),
            at_most=1.3,
            rounds=max(1, effort.rounds // _SHARE_OF_ROUNDS),
        )
        peak, little = (_removed_after(partial(_peak, _package(model))) for model in (big, small))
        yield Row(f"most memory of tfserve package, {_MEBIBYTES} MiB", peak, "of 10 kB", little, 1.1, "B")


@contextmanager
def _model(mebibytes: int) -> Iterator[Path]:
    """A model with this many more bytes, which no file system can omit."""
    with tempfile.TemporaryDirectory() as directory:
        model = Path(shutil.copytree(HALF_PLUS_TWO, Path(directory) / "model"))
        chance = random.Random(0)
        with (model / "1" / "assets.bin").open("wb") as file:
            for _ in range(mebibytes):
                file.write(chance.randbytes(2**20))
        yield model


def _package(model: Path) -> list[str]:
    return [TFSERVE, "package", str(model), "--image", _IMAGE]


def _by_hand(model: Path) -> float:
    begin = time.perf_counter()
    for command in (
        ["docker", "create", "--name", _CONTAINER, _BASE],
        ["docker", "cp", str(model), f"{_CONTAINER}:/models/model"],
        ["docker", "commit", "--change", "ENV MODEL_NAME model", _CONTAINER, _IMAGE],
        ["docker", "rm", _CONTAINER],  # as tfserve does
    ):
        subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begin


def _peak(command: Sequence[str]) -> float:
    """Runs a command and returns its maximum memory, in bytes."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    status = Path(f"/proc/{process.pid}/status")
    peak = 0
    while process.poll() is None:  # getrusage would include the memory of this process
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        peak = max(peak, int(found[1]) * 1024 if found else 0)
        time.sleep(_POLL_SECONDS)
    assert process.returncode == 0
    return float(peak)


def _removed_after(measure: Callable[[], float]) -> float:
    try:
        return measure()
    finally:
        subprocess.run(["docker", "rm", "--force", _CONTAINER], check=False, capture_output=True)
        subprocess.run(["docker", "rmi", _IMAGE], check=False, capture_output=True)

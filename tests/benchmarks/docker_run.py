"""The time of ``tfserve run`` with Docker, compared with ``docker run`` and a loop that polls the status."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator

import requests

from tests.benchmarks.command_line import HALF_PLUS_TWO, TFSERVE
from tests.benchmarks.pairs import Effort, Row, compare, run
from tfserve.host.ports import any_free_port

_NAME = "benchmark-run"
_POLL_SECONDS = 0.01


def rows(effort: Effort) -> Iterator[Row]:
    """Yields the row of this part."""
    port = any_free_port("127.0.0.1")
    arguments = ["run", str(HALF_PLUS_TWO), "--name", _NAME, "--rest-port", str(port), "--grpc-port", "none"]
    command = [TFSERVE, *arguments, "--no-smoke-test", "--engine", "docker"]
    line = subprocess.run([*command, "--dry-run"], check=True, capture_output=True, text=True).stdout
    yield compare(
        "tfserve run on Docker, without the smoke test",
        lambda: _removed_after(lambda: run(command)),
        "docker run -d, then a poll every 10 ms",
        lambda: _removed_after(lambda: _by_hand(line, port)),
        at_most=1.2,
        rounds=min(effort.rounds, 9),
    )


def _by_hand(line: str, port: int) -> float:
    begin = time.perf_counter()
    subprocess.run(["bash", "-c", line], check=True, capture_output=True)
    url = f"http://127.0.0.1:{port}/v1/models/{_NAME}"
    with requests.Session() as session:
        while True:
            try:
                answer = session.get(url, timeout=10)
                if answer.ok and answer.json()["model_version_status"][0]["state"] == "AVAILABLE":
                    return time.perf_counter() - begin
            except (requests.ConnectionError, KeyError, IndexError):
                pass
            time.sleep(_POLL_SECONDS)


def _removed_after(measure: Callable[[], float]) -> float:
    try:
        return measure()
    finally:
        subprocess.run([TFSERVE, "rm", "--force", _NAME], check=False, capture_output=True)

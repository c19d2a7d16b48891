"""How long the local model server takes to its first answer, and its memory: against ``import tensorflow``."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.benchmarks.command_line import HALF_PLUS_TWO
from tests.benchmarks.pairs import Row, compare, run
from tfserve.ports import any_free_port

REQUESTS = 1000
_IMPORT = "import tensorflow"


def rows(rounds: int) -> Iterator[Row]:
    """Yields the rows of this part."""
    reference = f"python -c '{_IMPORT}'"
    rounds = min(rounds, 7)
    yield compare(
        "tfserve-model-server, exec to first answer",
        _first_answer,
        reference,
        lambda: run([sys.executable, "-c", _IMPORT]),
        at_most=0.5,
        rounds=rounds,
    )
    yield compare(
        f"tfserve-model-server, resident after {REQUESTS} requests",
        _memory_after_requests,
        reference,
        _memory_of_import,
        at_most=0.75,
        rounds=min(rounds, 3),
        unit="B",
    )


@contextmanager
def _server() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = any_free_port("127.0.0.1")
    flags = [f"--rest_api_port={port}", "--port=0", "--model_name=m", f"--model_base_path={HALF_PLUS_TWO}"]
    command = [sys.executable, "-m", "tfserve.model_server", *flags, "--bind_address=127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process, f"http://127.0.0.1:{port}/v1/models/m:predict"
        finally:
            process.terminate()


def _ask_until_it_answers(session: requests.Session, url: str) -> None:
    while True:
        try:
            answer = session.post(url, data=b'{"instances": [1.0, 2.0, 5.0]}', timeout=10)
        except requests.ConnectionError:
            time.sleep(0.005)
            continue
        assert json.loads(answer.content) == {"predictions": [2.5, 3.0, 4.5]}
        return


def _first_answer() -> float:
    begin = time.perf_counter()
    with _server() as (_, url), requests.Session() as session:
        _ask_until_it_answers(session, url)
        return time.perf_counter() - begin


def _memory_after_requests() -> float:
    with _server() as (process, url), requests.Session() as session:
        for _ in range(REQUESTS):
            _ask_until_it_answers(session, url)
        return _resident(Path(f"/proc/{process.pid}/status").read_text())


def _memory_of_import() -> float:
    program = f"{_IMPORT}; print(open('/proc/self/status').read())"
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return _resident(printed.stdout)


def _resident(status: str) -> float:
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return float(line.split()[1]) * 1024

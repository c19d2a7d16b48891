"""Measures an attack: the longest answer of an ordinary client meanwhile, and the memory of the server."""

from __future__ import annotations

import contextlib
import http.client
import json
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path

from tests.benchmarks.servers import ANSWER, SCALARS, ModelServer, model_server, post

Attack = Callable[[str, int], None]
"""Attacks a port of a host, and returns once the attack is over; the served model is called ``m``."""

LONGEST_ANSWER_SECONDS = 1.0
"""The bound for the longest answer to the ordinary client."""

MOST_MEMORY_BYTES = 1 << 30
"""The bound for the memory above that of the idle server."""

_KEPT_BYTES = 256 << 20  # may remain afterwards: TensorFlow's allocator keeps what large tensors had for the next ones
_RECOVERY_SECONDS = 10.0
_CLIENT_PAUSE_SECONDS = 0.01
_SAMPLE_SECONDS = 0.05
_LONGEST_ATTACK_SECONDS = 120.0
_HOST = "127.0.0.1"
_processes = multiprocessing.get_context("spawn")  # a fork would inherit sockets and threads


@dataclass(frozen=True)
class Result:
    """What an attack did to a server.

    Attributes:
        longest_seconds: the longest answer of the ordinary client, which includes the time of a failed one.
        failures: how many of its requests failed or were answered wrongly.
        answers: how many were answered.
        peak_bytes: the most memory above that of the idle server.
        kept_bytes: the memory above that of the idle server, at most 10 seconds after the attack.
        alive: whether the server still runs, as the same process.
    """

    longest_seconds: float
    failures: int
    answers: int
    peak_bytes: int
    kept_bytes: int
    alive: bool

    @property
    def met(self) -> bool:
        """Whether every bound was met."""
        return (
            self.alive
            and not self.failures
            and self.longest_seconds < LONGEST_ANSWER_SECONDS
            and self.peak_bytes <= MOST_MEMORY_BYTES
            and self.kept_bytes <= _KEPT_BYTES
        )


def measure(attack: Attack, *flags: str, grpc: bool = False) -> Result:
    """Runs `attack` in a process of its own against a fresh server; on the gRPC port if `grpc`."""
    with model_server(Path("examples/half_plus_two").resolve(), *flags, grpc=True) as server:
        post(server.url(), SCALARS)
        port = server.grpc_port if grpc else server.port
        idle = memory(server.pid)
        with _ordinary_client(server) as report, _highest(server.pid) as highest:
            attacker = _processes.Process(target=attack, args=(_HOST, port), daemon=True)
            attacker.start()
            attacker.join(_LONGEST_ATTACK_SECONDS)
            attacker.kill()
            attacker.join()
            kept = _memory_later(server.pid, idle)
        alive = Path(f"/proc/{server.pid}/stat").exists() and bool(post(server.url(), SCALARS))
        return Result(report[0], int(report[1]), int(report[2]), highest[0] - idle, kept - idle, alive)


def memory(pid: int) -> int:
    """Returns the bytes of a process and its children, and of their files in memory, without those of libraries."""
    total = 0
    files: dict[int, int] = {}
    for process in _family(pid):
        with contextlib.suppress(OSError):  # it has just ended
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
            fields = dict(line.split(":", 1) for line in rollup.splitlines()[1:])
            # Pages of libraries are left out: how they are shared depends on what else runs on the machine.
            total += int(fields["Pss_Anon"].split()[0]) * 1024
            for descriptor in Path(f"/proc/{process}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(descriptor.readlink()).startswith("/memfd:"):
                        status = descriptor.stat()
                        files[status.st_ino] = status.st_blocks * 512
    return total + sum(files.values())


def _family(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))


def _memory_later(pid: int, idle: int) -> int:
    """Returns the memory once it is back at that of the idle server, or after the time for that."""
    deadline = time.monotonic() + _RECOVERY_SECONDS
    while (now := memory(pid)) - idle > _KEPT_BYTES // 8 and time.monotonic() < deadline:
        time.sleep(_SAMPLE_SECONDS)
    return now


@contextmanager
def _highest(pid: int) -> Iterator[list[int]]:
    """Gives a list whose only item is the most memory that was seen during the block."""
    highest, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLE_SECONDS):
            highest[0] = max(highest[0], memory(pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield highest
    finally:
        ended.set()
        thread.join()


@contextmanager
def _ordinary_client(server: ModelServer) -> Iterator[list[float]]:
    """Sends small requests during the block; afterwards the list has the longest seconds, failures, and answers."""
    report = _processes.Array("d", 3)
    ended, running = _processes.Event(), _processes.Event()
    client = _processes.Process(target=_send_requests, args=(server.port, report, running, ended), daemon=True)
    client.start()
    running.wait(60)
    result: list[float] = []
    try:
        yield result
    finally:
        ended.set()
        client.join(60)
        result += report[:]


def _send_requests(port: int, report: list[float], running: Event, ended: Event) -> None:
    """Sends a request each 10 ms over one connection, as long as it lasts, each with a long time-out."""
    connection = http.client.HTTPConnection(_HOST, port, timeout=60)
    while not ended.is_set():
        begin = time.monotonic()
        try:
            connection.request("POST", "/v1/models/m:predict", SCALARS)
            answer = connection.getresponse()
            failed = answer.status != 200 or json.loads(answer.read())["predictions"] != list(ANSWER)
        except (OSError, http.client.HTTPException):
            connection.close()
            failed = True
        report[0] = max(report[0], time.monotonic() - begin)
        report[1] += failed
        report[2] += not failed
        running.set()
        time.sleep(_CLIENT_PAUSE_SECONDS)

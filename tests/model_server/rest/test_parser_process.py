"""A server short of processes, files or memory refuses the large bodies of that moment, and parses later ones again."""

from __future__ import annotations

import gzip
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.model_server.server_process import ServerProcess
from tfserve.model_server.rest.limits import INLINE_BYTES, LIGHT_BYTES

# The superuser's processes have no limit that lets a fork fail, so the fork is replaced for one call.
FAILING_FORK = f"""
import asyncio, os
from tfserve.model_server.rest import parser_process
from tfserve.model_server.rest.limits import Limits
from tfserve.model_server.rest.memory_file import MemoryFile
from tfserve.model_server.rest.parser_pool import ParserPool
from tfserve.model_server.status import StatusError

fork, forks = os.fork, []

def fork_but_once():
    forks.append(1)
    if len(forks) == 2:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return fork()

async def parse(pool):
    for size in ({LIGHT_BYTES - 100}, {LIGHT_BYTES - 100}, {LIGHT_BYTES + 100}):
        body = MemoryFile()
        body.write(b'{{"instances": [1, 2]}}'.ljust(size))
        try:
            print((await pool.parse(body, False, "predict", {{"serving_default": {{"x": 1}}}})).request.arrays["x"])
        except StatusError as failure:
            print(failure.code.name)

os.fork = fork_but_once
asyncio.run(parse(ParserPool(parser_process.start(Limits()), Limits())))
"""


def test_a_fork_that_fails_loses_only_its_body() -> None:
    done = subprocess.run([sys.executable, "-c", FAILING_FORK], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["RESOURCE_EXHAUSTED", "[1. 2.]", "[1. 2.]"]
    assert (
        "A parser process cannot be made: BlockingIOError: [Errno 11] Resource temporarily unavailable" in done.stderr
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, half_plus_two: Path) -> Iterator[ServerProcess]:
    """A server with room for few bodies; it does not look for new versions, which takes files now and then."""
    log = tmp_path_factory.mktemp("small") / "log"
    flags = ("--rest_api_max_inflight_body_bytes=1000000", "--file_system_poll_wait_seconds=0")
    with ServerProcess(log, half_plus_two, *flags) as process:
        yield process.wait_until_ready()


@contextmanager
def limit_of(pid: int, kind: int, limit: int) -> Iterator[None]:
    before = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, kind, before)


def free_descriptors(pid: int) -> list[int]:
    taken = {int(link.name) for link in Path(f"/proc/{pid}/fd").iterdir()}
    return [number for number in range(len(taken) + 3) if number not in taken]


def body(size: int) -> bytes:
    return b'{"instances": [1]}'.ljust(size)


def test_a_parser_that_gets_no_file_loses_only_its_body(small: ServerProcess) -> None:
    (parent,) = map(int, Path(f"/proc/{small.process.pid}/task/{small.process.pid}/children").read_text().split())
    with limit_of(parent, resource.RLIMIT_NOFILE, 3):
        assert small.predict(body(LIGHT_BYTES + 100)).status_code == 429
    assert small.predict(body(LIGHT_BYTES + 100)).json() == {"predictions": [2.5]}
    assert "A parser process cannot be made: too many open files" in small.log


@pytest.mark.parametrize(
    ("size", "free"),
    [
        (INLINE_BYTES + 100, 0),  # for the body
        (INLINE_BYTES + 100, 1),  # for what was parsed
        (LIGHT_BYTES + 100, 1),  # for the socket of a new parser
    ],
)
def test_a_server_without_free_descriptors_refuses_large_bodies(small: ServerProcess, size: int, free: int) -> None:
    assert small.predict(body(INLINE_BYTES + 100)).status_code == 200  # makes a parser, and the connection that is used
    limit = free_descriptors(small.process.pid)[free]
    with limit_of(small.process.pid, resource.RLIMIT_NOFILE, limit):
        answer = small.predict(body(size))
        assert answer.status_code == 429, answer.text
    assert small.predict(body(size)).json() == {"predictions": [2.5]}


def test_bodies_that_find_no_memory_take_no_room(small: ServerProcess) -> None:
    """Files in memory count as files for the limit of their size; more bodies are sent than there is room for."""
    numbers = random.Random(0)
    digits = ", ".join(str(numbers.random()) for _ in range(6_000))
    packed = gzip.compress(f'{{"instances": [{digits}]}}'.encode())
    assert 40_000 < len(packed) < INLINE_BYTES < len(digits)
    bodies = ((body(INLINE_BYTES + 100), ""), (packed, "gzip"))
    with limit_of(small.process.pid, resource.RLIMIT_FSIZE, 1000):
        for data, encoding in bodies * 8:
            headers = {"Content-Encoding": encoding}
            answer = small.session.post(f"{small.url}:predict", data, headers=headers)
            assert answer.status_code == 429, answer.text
            assert answer.json()["error"] == "The server has no memory for the body"
    assert small.predict(body(INLINE_BYTES + 100)).json() == {"predictions": [2.5]}

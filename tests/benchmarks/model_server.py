"""The time until the local model server first responds, and its memory, compared with ``import tensorflow``."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

from tests.benchmarks.command_line import HALF_PLUS_TWO
from tests.benchmarks.pairs import Effort, Row, compare, run
from tests.benchmarks.servers import ANSWER, SCALARS, ModelServer, model_server, post, resident, two_models

REQUESTS = 1000
_IMPORT = "import tensorflow"
_REFERENCE = f"python -c '{_IMPORT}'"
_Server = Callable[[], AbstractContextManager[ModelServer]]


def rows(effort: Effort) -> Iterator[Row]:
    """Yields the rows of this part."""
    two = partial(two_models, HALF_PLUS_TWO, HALF_PLUS_TWO, grpc=True)
    for what, server, model in ("REST, one model", model_server, "m"), ("REST and gRPC, two models", two, "second"):
        yield compare(
            f"exec to first answer, {what}",
            partial(_first_answer, server, model),
            _REFERENCE,
            lambda: run([sys.executable, "-c", _IMPORT]),
            at_most=0.5,
            rounds=min(effort.rounds, 7),
        )
        yield compare(
            f"resident after {REQUESTS} requests, {what}",
            partial(_memory_after_requests, server, model),
            _REFERENCE,
            _memory_of_import,
            at_most=0.75,
            rounds=min(effort.rounds, 3),
            unit="B",
        )


def _ask(server: ModelServer, model: str) -> None:
    assert json.loads(post(server.url(model), SCALARS)) == {"predictions": list(ANSWER)}


def _first_answer(start: _Server, model: str) -> float:
    begin = time.perf_counter()
    with start() as server:
        _ask(server, model)
        return time.perf_counter() - begin


def _memory_after_requests(start: _Server, model: str) -> float:
    with start() as server:
        for _ in range(REQUESTS):
            _ask(server, model)
        return server.resident()


def _memory_of_import() -> float:
    program = f"{_IMPORT}; print(open('/proc/self/status').read())"
    return resident(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)

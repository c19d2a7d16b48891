"""The overhead of a request from Python, and the time of importing tfserve."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import requests

import tfserve
from tests.benchmarks.command_line import HALF_PLUS_TWO
from tests.benchmarks.pairs import Effort, Row, compare, in_turn, run
from tests.benchmarks.servers import SCALARS, model_server, post

_REQUESTS = 200  # in each measurement
_IMPORT_SECONDS = 0.010
"""The limit for the time of ``import tfserve``."""


def rows(effort: Effort) -> Iterator[Row]:
    """Yields the rows of this part."""
    yield _import_row(effort)
    with (
        model_server(HALF_PLUS_TWO, grpc=True) as server,
        requests.Session() as session,
        tfserve.Client(f"127.0.0.1:{server.port}", model="m") as client,
        tfserve.Client(f"127.0.0.1:{server.grpc_port}", model="m", api="grpc") as over_grpc,
    ):
        url = server.url()

        def predict_with_requests() -> Any:
            return session.post(url, json={"instances": [1.0]}, timeout=60).json()

        post(url, SCALARS)  # which waits until the server responds
        assert client.predict([1.0]) == over_grpc.predict([1.0]) == predict_with_requests()["predictions"]
        for api, tested in ("REST", client), ("gRPC", over_grpc):
            yield compare(
                f"predict of one row from Python, {api}",
                partial(_seconds, partial(tested.predict, [1.0])),
                "requests.Session().post and json()",
                partial(_seconds, predict_with_requests),
                at_most=1.5,
                rounds=effort.rounds,
            )


def _import_row(effort: Effort) -> Row:
    """Compares the time of an import with its limit."""
    python = [sys.executable, "-c"]
    ours, theirs = in_turn(lambda: run([*python, "import tfserve"]), lambda: run([*python, "pass"]), effort.rounds)
    extra = max(statistics.median(ours) - statistics.median(theirs), 0.0)
    return Row("import tfserve, beyond an empty program", extra, "10 ms", _IMPORT_SECONDS, 1.0)


def _seconds(send: Callable[[], object]) -> float:
    begin = time.perf_counter()
    for _ in range(_REQUESTS):
        send()
    return (time.perf_counter() - begin) / _REQUESTS

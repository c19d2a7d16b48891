"""The throughput of the local model server, compared with BentoML and with itself without other load."""

from __future__ import annotations

import json
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tests.benchmarks.cached_models import conv_models, models, temporary
from tests.benchmarks.command_line import HALF_PLUS_TWO
from tests.benchmarks.load import CONNECTIONS, wrk
from tests.benchmarks.pairs import Effort, Row, compare, in_turn
from tests.benchmarks.servers import ANSWER, SCALARS, bento_server, model_server, post, two_models

_BATCHED_CONNECTIONS = 32
_BATCHING = "max_batch_size { value: 32 } batch_timeout_micros { value: 1000 } num_batch_threads { value: 2 }"


def rest_rows(effort: Effort) -> Iterator[Row]:
    """Yields how a small predict request over REST compares with BentoML and the same SavedModel."""
    with model_server() as server, bento_server() as bento:
        assert json.loads(post(server.url(), SCALARS)) == {"predictions": list(ANSWER)}
        assert json.loads(post(bento, SCALARS)) == list(ANSWER)
        ours, theirs = in_turn(
            partial(wrk, server.url(), SCALARS, effort.seconds),
            partial(wrk, bento, SCALARS, effort.seconds),
            effort.load_rounds,
        )
    what, reference = f"REST predict, 3 scalars, {CONNECTIONS} connections", "BentoML, the same SavedModel"
    rates = [statistics.median(load.rate for load in loads) for loads in (ours, theirs)]
    yield Row(what, rates[0], reference, rates[1], 18, "/s", at_least=True)
    p99s = [statistics.median(load.p99 for load in loads) for loads in (ours, theirs)]
    yield Row(f"{what}: p99", p99s[0], reference, p99s[1], 1)


def slow_rows(effort: Effort) -> Iterator[Row]:
    """Yields how much a model that takes 50 ms delays another one."""
    with two_models(HALF_PLUS_TWO, models() / "slow") as server:
        fast, slow = server.url("first"), server.url("second")
        post(fast, SCALARS), post(slow, SCALARS)

        def beside() -> float:
            with _asked_all_the_time(slow):
                return wrk(fast, SCALARS, effort.seconds).p99

        yield compare(
            "p99 of a fast model beside one that takes 50 ms",
            beside,
            "the fast model alone",
            lambda: wrk(fast, SCALARS, effort.seconds).p99,
            at_most=3,
            rounds=effort.load_rounds,
        )


def batching_rows(effort: Effort) -> Iterator[Row]:
    """Yields what batching gains for a model that computes a lot."""
    directory = conv_models()
    body = (directory / "conv.json").read_bytes()
    with temporary(_BATCHING) as parameters:
        flags = ("--enable_batching=true", f"--batching_parameters_file={parameters}")
        with model_server(directory / "conv", *flags) as on, model_server(directory / "conv") as off:
            post(on.url(), body), post(off.url(), body)
            yield compare(
                f"batching on, convolutional net, {_BATCHED_CONNECTIONS} connections",
                lambda: wrk(on.url(), body, effort.seconds, _BATCHED_CONNECTIONS).rate,
                "batching off",
                lambda: wrk(off.url(), body, effort.seconds, _BATCHED_CONNECTIONS).rate,
                at_least=1.5,
                rounds=effort.load_rounds,
                unit="/s",
            )


@contextmanager
def _asked_all_the_time(url: str) -> Iterator[None]:
    """Sends the request of half_plus_two to `url`, one after the other, while the block runs."""
    done = threading.Event()

    def send_requests() -> None:
        while not done.is_set():
            post(url, SCALARS)

    thread = threading.Thread(target=send_requests)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()

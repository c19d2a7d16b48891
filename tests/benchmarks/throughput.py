"""How much the local model server answers under load: against BentoML, and against itself without other work."""

from __future__ import annotations

import json
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tests.benchmarks.command_line import HALF_PLUS_TWO
from tests.benchmarks.load import CONNECTIONS, wrk
from tests.benchmarks.made import conv_models, models, temporary
from tests.benchmarks.pairs import Effort, Row, compare, in_turn
from tests.benchmarks.servers import (
    ANSWER,
    SCALARS,
    ask,
    bento_server,
    model_server,
    two_models,
)

_BATCHED_CONNECTIONS = 32
_BATCHING = "max_batch_size { value: 32 } batch_timeout_micros { value: 1000 } num_batch_threads { value: 2 }"


def rest_rows(effort: Effort) -> Iterator[Row]:
    """Yields how a small REST predict compares with BentoML and the same SavedModel."""
    with model_server() as server, bento_server() as bento:
        assert json.loads(ask(server.url(), SCALARS)) == {"predictions": list(ANSWER)}
        assert json.loads(ask(bento, SCALARS)) == list(ANSWER)
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
    """Yields how much a model that takes 50 ms holds up one that does not."""
    with two_models(HALF_PLUS_TWO, models() / "slow") as server:
        fast, slow = server.url("first"), server.url("second")
        ask(fast, SCALARS), ask(slow, SCALARS)

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
    """Yields what batching gains where a model has real work."""
    directory = conv_models()
    body = (directory / "conv.json").read_bytes()
    with temporary(_BATCHING) as parameters:
        flags = ("--enable_batching=true", f"--batching_parameters_file={parameters}")
        with model_server(directory / "conv", *flags) as on, model_server(directory / "conv") as off:
            ask(on.url(), body), ask(off.url(), body)
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
    """Asks `url` for half_plus_two's request, one after the other, until the end of the block."""
    done = threading.Event()

    def go_on() -> None:
        while not done.is_set():
            ask(url, SCALARS)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()

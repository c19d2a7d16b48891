from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model_server.server_process import PATIENCE
from tests.program import eventually
from tfserve.model_server.models.manager import Manager, ManagerOptions, ModelConfig, ModelSpec
from tfserve.model_server.runtime import batching
from tfserve.model_server.runtime.batch_scheduler import BatchScheduler
from tfserve.model_server.runtime.batching import Batching, BatchingServable
from tfserve.model_server.runtime.batching_options import QueueOptions, ThreadOptions
from tfserve.model_server.runtime.loading import load_servable
from tfserve.model_server.runtime.servable import DEFAULT_SIGNATURE, Servable, Signature
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.saved_model_pb2 import DataType, SignatureDef
from tfserve.protos.server_config_pb2 import BatchingParameters

Outputs = dict[str, Any]
Load = Callable[..., Servable]

A_MINUTE = 60_000_000
"""In microseconds; longer than any test waits."""


def parameters(**values: Any) -> str:
    """Returns batching parameters as text; by default, batches wait until they are full."""
    values = {"batch_timeout_micros": A_MINUTE, "num_batch_threads": 2, "max_enqueued_batches": 100} | values
    message = BatchingParameters()
    for name, value in values.items():
        if isinstance(value, list):
            getattr(message, name).extend(value)
        elif name == "pad_variable_length_inputs":
            message.pad_variable_length_inputs = value
        else:
            getattr(message, name).value = value
    return text_format.MessageToString(message)


@pytest.fixture
def load(models: Path, tmp_path: Path) -> Iterator[Load]:
    """Loads a model with the given batching parameters."""
    with ExitStack() as stack:

        def load_batching(model: str = "batch", **values: Any) -> Servable:
            file = tmp_path / "parameters"
            file.write_text(parameters(**values))
            options = LoadOptions(batching=Batching.start(file, per_model=False))
            servable = load_servable(model, 1, models / model / "1", options)
            hold_in_own_thread(servable)
            stack.callback(servable.close)
            return servable

        yield load_batching


def hold_in_own_thread(servable: Servable) -> None:
    """Makes held runs use the thread of their batch, like short runs.

    On a small machine, they would otherwise occupy all of TensorFlow's own threads.
    """
    if "hold" in servable.signatures:
        servable.signature("hold").record_duration(0.0)


class Gate:
    """A batch that runs until the gate is opened."""

    def __init__(self, directory: Path, name: str = "gate") -> None:
        self._started = directory / f"{name}-started"
        self._go = directory / f"{name}-go"

    @property
    def arrays(self) -> dict[str, Any]:
        return {"started": strings(str(self._started)), "go": strings(str(self._go))}

    @property
    def running(self) -> bool:
        return self._started.exists()

    def open(self) -> None:
        self._go.touch()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = Gate(tmp_path)
    yield gate
    gate.open()


def strings(*values: str) -> Any:
    array: Any = np.empty(len(values), np.object_)
    array[:] = [value.encode() for value in values]
    return array


def floats(values: list[list[int]]) -> Any:
    return np.array(values, np.float32)


def ones(rows: int, width: int = 1) -> dict[str, Any]:
    return {"x": np.ones((rows, width), np.float32)}


def together(servable: Servable, *inputs: dict[str, Any], signature: str = "", timeout_ms: int = 0) -> list[Any]:
    """Submits all requests before awaiting them; returns the outputs or the error of each."""

    async def run() -> list[Any]:
        submitted = [servable.submit(signature, arrays, timeout_ms=timeout_ms) for arrays in inputs]
        return await asyncio.gather(*submitted, return_exceptions=True)

    return asyncio.run(run())


async def until(condition: Callable[[], object]) -> None:
    await asyncio.to_thread(eventually, condition)


def error_of(run: Coroutine[Any, Any, object]) -> StatusError:
    with pytest.raises(StatusError) as caught:
        asyncio.run(run)
    return caught.value


def assert_error(outcome: object, code: Code, message: str) -> None:
    assert isinstance(outcome, StatusError)
    assert (outcome.code, outcome.message) == (code, message)


def test_waiting_requests_run_as_one_and_get_their_own_rows(load: Load) -> None:
    servable = load(max_batch_size=6)
    inputs = [{"x": np.arange(n, dtype=np.float32).reshape(n, 1) + 10 * n} for n in (1, 2, 3)]
    for arrays, outputs in zip(inputs, together(servable, *inputs), strict=True):
        np.testing.assert_array_equal(outputs["x"], arrays["x"])
        assert outputs["rows"].tolist() == [6] * len(arrays["x"])


def test_a_lone_request_runs_after_the_timeout(load: Load) -> None:
    servable = load(batch_timeout_micros=200_000)
    start = time.monotonic()
    (outputs,) = together(servable, ones(1))
    assert time.monotonic() - start >= 0.2  # a lower bound, which a slow machine meets too
    assert outputs["rows"].tolist() == [1]


def test_a_request_that_does_not_fit_goes_into_the_next_batch(load: Load) -> None:
    servable = load(max_batch_size=4)
    outcomes = together(servable, ones(3), ones(2), ones(2))
    assert [outputs["rows"][0] for outputs in outcomes] == [3, 4, 4]


def test_without_a_timeout_requests_that_wait_for_a_thread_run_together(load: Load, gate: Gate) -> None:
    servable = load(batch_timeout_micros=0, num_batch_threads=1)

    async def run() -> list[int]:
        held = servable.submit("hold", gate.arrays)
        await until(lambda: gate.running)
        waiting = [servable.submit("", ones(1)) for _ in range(5)]
        gate.open()
        await held
        return [int(outputs["rows"][0]) for outputs in await asyncio.gather(*waiting)]

    assert asyncio.run(run()) == [5] * 5


def test_only_requests_for_the_same_outputs_run_together(load: Load) -> None:
    servable = load(max_batch_size=2)

    async def run() -> list[Outputs]:
        wanted = [("rows",), ("rows", "x"), ("rows",), ("x", "rows")]
        return list(await asyncio.gather(*[servable.submit("", ones(1), outputs) for outputs in wanted]))

    outcomes = asyncio.run(run())
    assert [sorted(outputs) for outputs in outcomes] == [["rows"], ["rows", "x"]] * 2
    assert [outputs["rows"].tolist() for outputs in outcomes] == [[2]] * 4


@pytest.mark.parametrize(("rows", "ran"), [(1, 2), (2, 2), (3, 5), (5, 5), (6, 8)])
def test_batches_are_padded_to_an_allowed_size(load: Load, rows: int, ran: int) -> None:
    servable = load(max_batch_size=8, allowed_batch_sizes=[2, 5, 8], batch_timeout_micros=0)
    (outputs,) = together(servable, ones(rows))
    assert outputs["rows"].tolist() == [ran] * rows
    assert servable.run("", ones(rows))["rows"].tolist() == [ran] * rows


def test_rows_of_different_widths_are_padded_with_the_first_value(load: Load) -> None:
    servable = load(max_batch_size=2, pad_variable_length_inputs=True)
    short, long = together(servable, {"x": floats([[7, 8]])}, {"x": floats([[1, 2, 3, 4]])})
    assert short["x"].tolist() == [[7, 8, 7, 7]]
    assert long["x"].tolist() == [[1, 2, 3, 4]]
    assert short["width"].tolist() == long["width"].tolist() == [4]


def test_rows_that_would_take_too_much_when_padded_run_by_themselves(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_MAX_PADDED_BYTES", 31)
    servable = load(max_batch_size=2, pad_variable_length_inputs=True)
    short, long = together(servable, {"x": floats([[7, 8]])}, {"x": floats([[1, 2, 3, 4]])})
    assert short["x"].tolist() == [[7, 8]]
    assert long["x"].tolist() == [[1, 2, 3, 4]]


def test_rows_of_different_widths_fail_together_without_padding(load: Load) -> None:
    servable = load(max_batch_size=2)
    for outcome in together(servable, ones(1, 2), ones(1, 3)):
        assert_error(
            outcome,
            Code.FAILED_PRECONDITION,
            "Tensors with name 'serving_default_x:0' from different tasks have different shapes and padding is turned "
            "off. Set pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal "
            "dimensions starting with the first dim.",
        )


def test_rows_that_cannot_be_padded(load: Load) -> None:
    servable = load("zoo", max_batch_size=2, pad_variable_length_inputs=True)
    flat, deep = np.zeros(1, np.float32), np.zeros((1,) * 7, np.float32)
    empty, full = np.zeros((1, 0), np.float32), np.zeros((1, 2), np.float32)

    def outcomes(*arrays: Any) -> list[Any]:
        return together(servable, *({"x": array} for array in arrays), signature="echo_float32")

    assert [outcome.code for outcome in outcomes(flat, full)] == [Code.FAILED_PRECONDITION] * 2
    for outcome in outcomes(deep, deep):
        assert_error(outcome, Code.INVALID_ARGUMENT, "Only tensors with rank from 1 to 6 can be padded.")
    for outcome in outcomes(empty, full):
        assert_error(outcome, Code.INVALID_ARGUMENT, "Got empty tensor in batch of non-empty tensors.")


def test_strings_and_several_inputs(load: Load) -> None:
    servable = load("zoo", max_batch_size=3)
    words = [strings("a", "b", "c", "d").reshape(2, 2), strings("e", "f").reshape(1, 2)]
    numbers = [np.array([1, 2], np.int32), np.array([3], np.int32)]
    inputs = [{"number": number, "words": word} for number, word in zip(numbers, words, strict=True)]
    first, second = together(servable, *inputs, signature="pair")
    assert first["joined"].tolist() == [b"ab", b"cd"]
    assert second["joined"].tolist() == [b"ef"]
    assert second["double"].tolist() == [6.0]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((), np.float32)}, "Batching Run() input tensors must have at least one dimension"),
        (
            {"number": np.zeros(2, np.int32), "words": strings("a")},
            "Batching Run() input tensors must have equal 0th-dimension size",
        ),
        (ones(9), "Task size 9 is larger than maximum input batch size 8"),
    ],
)
def test_inputs_that_cannot_be_batched_are_refused_alone(load: Load, arrays: dict[str, Any], message: str) -> None:
    servable = load("zoo", max_batch_size=8)
    signature = "echo_float32" if "x" in arrays else "pair"

    async def submit() -> None:
        servable.submit(signature, arrays)

    assert_error(error_of(submit()), Code.INVALID_ARGUMENT, message)


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("total", "Batched output tensor has 0 dimensions"),
        (
            "uneven",
            "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
            "tensors",
        ),
    ],
)
def test_outputs_that_are_not_rows(load: Load, signature: str, message: str) -> None:
    servable = load("zoo", max_batch_size=2)
    for outcome in together(servable, *[{"x": np.ones(1, np.float32)}] * 2, signature=signature):
        assert_error(outcome, Code.FAILED_PRECONDITION, message)


def test_a_failed_run_fails_all_requests_of_its_batch_and_no_others(load: Load) -> None:
    servable = load(max_batch_size=2)
    bad = {"x": floats([[-1]])}
    failed, as_well, good, also = together(servable, bad, ones(1), ones(1), ones(1))
    assert failed.code == as_well.code == Code.INVALID_ARGUMENT
    assert "no negative numbers" in as_well.message
    assert good["rows"].tolist() == also["rows"].tolist() == [2]


def test_no_rows_at_all(load: Load) -> None:
    servable = load(max_batch_size=4, allowed_batch_sizes=[2, 4], batch_timeout_micros=1)
    (outputs,) = together(servable, ones(0))
    assert outputs["x"].shape == (0, 1)


def test_a_full_queue_refuses(load: Load, gate: Gate) -> None:
    servable = load(max_batch_size=2, num_batch_threads=1, batch_timeout_micros=0, max_enqueued_batches=2)

    async def run() -> None:
        held = servable.submit("hold", gate.arrays)
        await until(lambda: gate.running)
        waiting = [servable.submit("", ones(2)) for _ in range(2)]
        full = (
            "The batch scheduling queue to which this task was submitted is full; currently 2 batches enqueued and "
            "max_enqueued_batches is 2"
        )
        with pytest.raises(StatusError) as refused:
            servable.submit("", ones(1))
        assert_error(refused.value, Code.UNAVAILABLE, full)
        gate.open()
        await asyncio.gather(held, *waiting)
        await servable.submit("", ones(1))

    asyncio.run(run())


def test_large_requests_are_split(load: Load) -> None:
    servable = load(max_batch_size=10, enable_large_batch_splitting=True, max_execution_batch_size=4)
    large = {"x": np.arange(9, dtype=np.float32).reshape(9, 1)}
    first, second, third = together(servable, ones(2), large, ones(1))
    assert first["rows"].tolist() == [4, 4]
    assert second["rows"].tolist() == [4] * 9  # 2 with the first, 4 alone, and 3 with the third
    assert third["rows"].tolist() == [4]
    np.testing.assert_array_equal(second["x"], large["x"])


def test_a_queue_that_splits_refuses_a_request_without_room(load: Load) -> None:
    splitting = {"enable_large_batch_splitting": True, "max_execution_batch_size": 4}
    servable = load(max_batch_size=10, max_enqueued_batches=2, **splitting)

    async def submit() -> None:
        servable.submit("", ones(3))
        servable.submit("", ones(6))

    assert_error(
        error_of(submit()),
        Code.UNAVAILABLE,
        "The batch scheduling queue to which this task was submitted is full; task size is 6 but scheduling capacity "
        "is only 5 (num_enqueued_batches=1, max_enqueued_batches=2, open_batch_size=3, max_execution_batch_size=4)",
    )


def test_an_error_in_a_part_fails_the_whole(load: Load) -> None:
    servable = load(max_batch_size=4, enable_large_batch_splitting=True, max_execution_batch_size=2)
    (outcome,) = together(servable, {"x": floats([[1], [1], [1], [-1]])})
    assert outcome.code == Code.INVALID_ARGUMENT


@pytest.mark.parametrize(("threads", "both"), [(1, False), (2, True)])
def test_each_thread_runs_a_batch(load: Load, tmp_path: Path, threads: int, both: bool) -> None:
    servable = load(max_batch_size=1, num_batch_threads=threads, thread_pool_name=f"pool_of_{threads}")
    gates = [Gate(tmp_path, "one"), Gate(tmp_path, "other")]

    async def run() -> None:
        held = [servable.submit("hold", gate.arrays) for gate in gates]
        try:
            await until(lambda: gates[0].running and (not both or gates[1].running))
            assert gates[1].running is both
        finally:
            for gate in gates:
                gate.open()
        await asyncio.gather(*held)

    asyncio.run(run())
    names = {thread.name for thread in threading.enumerate()}
    assert {name for name in names if name.startswith("pool_of_")} >= {f"pool_of_{threads}_{n}" for n in range(threads)}
    assert f"pool_of_{threads}_{threads}" not in names


def test_a_request_whose_time_ends_before_a_thread_is_free(load: Load, gate: Gate) -> None:
    servable = load(num_batch_threads=1, batch_timeout_micros=0)

    async def run() -> None:
        held = servable.submit("hold", gate.arrays)
        await until(lambda: gate.running)
        impatient = servable.submit("", ones(1), timeout_ms=1)
        await asyncio.sleep(0.01)  # longer than the time of the request
        gate.open()
        await held
        with pytest.raises(StatusError) as late:
            await impatient
        text = "Run() timeout exceeded while waiting in batching queue"
        assert_error(late.value, Code.RESOURCE_EXHAUSTED, text)

    asyncio.run(run())


class Recording(Servable):
    """A model that returns its inputs, and records the time limits of its runs."""

    def __init__(self, signature: Signature) -> None:
        self.name, self.version = "recording", 1
        self.signatures = {DEFAULT_SIGNATURE: signature}
        self.timeouts_ms: list[int | None] = []

    def _run(
        self, signature: Signature, arrays: Mapping[str, Any], outputs: tuple[str, ...], timeout_ms: int | None
    ) -> dict[str, Any]:
        self.timeouts_ms.append(timeout_ms)
        return dict(arrays)

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("limits", "least", "most"), [((0, 50_000), 0, 0), ((1_000_000, 9_000_000), 5e6, 9e6)])
def test_a_batch_has_the_longest_time_limit_of_its_requests(limits: tuple[int, int], least: int, most: int) -> None:
    definition = SignatureDef()
    for infos in (definition.inputs, definition.outputs):
        infos["x"].dtype = DataType.DT_FLOAT
    inner = Recording(Signature(definition))
    scheduler = BatchScheduler(ThreadOptions(1, "recording"))
    options = QueueOptions(max_batch_size=2, timeout_seconds=PATIENCE, max_execution_batch_size=2)
    servable = BatchingServable(inner, scheduler, options)

    async def run() -> None:
        await asyncio.gather(*[servable.submit("", ones(1), timeout_ms=limit) for limit in limits])

    asyncio.run(run())
    (timeout_ms,) = inner.timeouts_ms
    assert timeout_ms is not None
    assert least <= timeout_ms <= most


def test_cancelled_requests_are_left_out(load: Load, gate: Gate) -> None:
    servable = load(num_batch_threads=1, batch_timeout_micros=0)

    async def run() -> Outputs:
        held = servable.submit("hold", gate.arrays)
        await until(lambda: gate.running)
        waiting = [servable.submit("", arrays) for arrays in (ones(1), ones(2), ones(4))]
        waiting[1].cancel()
        gate.open()
        await held
        await waiting[0]
        return await waiting[2]

    assert asyncio.run(run())["rows"].tolist() == [5] * 4


@settings(max_examples=30)
@given(
    sizes=st.lists(st.integers(0, 12), min_size=1, max_size=25),
    options=st.fixed_dictionaries(
        {
            "max_batch_size": st.just(12),
            "allowed_batch_sizes": st.sampled_from([[], [12], [1, 4, 12]]),
            "batch_timeout_micros": st.sampled_from([0, 500]),
            "num_batch_threads": st.integers(1, 3),
            "enable_large_batch_splitting": st.booleans(),
            "max_execution_batch_size": st.integers(1, 12),
        }
    ),
)
def test_each_request_gets_exactly_its_own_rows(
    models: Path, tmp_path_factory: pytest.TempPathFactory, sizes: list[int], options: dict[str, Any]
) -> None:
    file = tmp_path_factory.mktemp("parameters") / "parameters"
    file.write_text(parameters(**options, max_enqueued_batches=1000))
    batching = LoadOptions(batching=Batching.start(file, per_model=False))
    servable = load_servable("batch", 1, models / "batch" / "1", batching)
    count = sum(sizes)
    rows = np.split(np.arange(count, dtype=np.float32).reshape(count, 1), np.cumsum(sizes)[:-1])
    for given_rows, outputs in zip(rows, together(servable, *({"x": part} for part in rows)), strict=True):
        np.testing.assert_array_equal(outputs["x"], given_rows)
    servable.close()


def test_a_version_is_unloaded_after_its_batches(models: Path, tmp_path: Path, gate: Gate) -> None:
    base_path = tmp_path / "m"
    shutil.copytree(models / "batch", base_path)
    (tmp_path / "parameters").write_text(parameters(batch_timeout_micros=0))
    options = LoadOptions(batching=Batching.start(tmp_path / "parameters", per_model=False))
    manager = Manager([ModelConfig("m", base_path)], ManagerOptions(poll_seconds=0.05), options)
    manager.start()
    manager.ready.result(PATIENCE)

    def state(version: int) -> str:
        return manager.statuses("m", version)[0].state

    async def run() -> None:
        with manager.use(ModelSpec("m")) as servable:
            hold_in_own_thread(servable)
            held = servable.submit("hold", gate.arrays)
        await until(lambda: gate.running)
        held.cancel()  # so that no request uses the servable any more
        (tmp_path / "made").mkdir()
        shutil.copytree(models / "batch" / "1", tmp_path / "made" / "2")
        (tmp_path / "made" / "2").rename(base_path / "2")
        await until(lambda: len(manager.statuses("m")) == 2 and state(2) == "AVAILABLE")
        await until(lambda: any(thread.name == "unload" for thread in threading.enumerate()))
        for _ in range(10):
            await asyncio.wrap_future(manager.poll())  # a step in which the end of the unloading would show
            assert state(1) == "UNLOADING"
        gate.open()
        await until(lambda: state(1) == "END")
        with manager.use(ModelSpec("m")) as servable:
            assert (await servable.submit("", ones(1)))["rows"].tolist() == [1]

    try:
        asyncio.run(run())
    finally:
        manager.stop()

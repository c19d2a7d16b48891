"""A model whose requests run together: their rows become one run, and each gets its own rows of the outputs.

Source: ``batching_session.cc`` of TensorFlow Serving.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfserve.model_server import log
from tfserve.model_server.monitoring.metrics import (
    BATCHING_INPUT_BATCH_SIZE,
    BATCHING_PADDING_SIZE,
    BATCHING_PROCESSED_BATCH_SIZE,
    BATCHING_QUEUING_LATENCY,
    BATCHING_WRAPPED_RUN_COUNT,
)
from tfserve.model_server.runtime.batch_arrays import count_rows, merge, split
from tfserve.model_server.runtime.batch_scheduler import BatchScheduler, Lane
from tfserve.model_server.runtime.batching_options import (
    MODEL_PARAMETERS_FILE,
    QueueOptions,
    queue_options,
    read_parameters,
    thread_options,
)
from tfserve.model_server.runtime.servable import Servable, Signature
from tfserve.model_server.status import Code, StatusError, invalid_argument
from tfserve.protos.dtypes import Array
from tfserve.protos.server_config_pb2 import BatchingParameters

_Outcome = dict[str, Array] | StatusError
_Future = asyncio.Future[dict[str, Array]]


@dataclass(frozen=True)
class Batching:
    """What the server knows of batching: the threads of all models, and the parameters.

    Attributes:
        scheduler: what runs the batches of all models.
        parameters: those of models without parameters of their own.
        per_model: whether models have parameters of their own; those without are not batched then.
    """

    scheduler: BatchScheduler
    parameters: BatchingParameters
    per_model: bool

    @classmethod
    def start(cls, parameters_file: Path | None, per_model: bool) -> Batching:
        """Reads the parameters of the server, and starts its threads.

        Raises:
            StatusError: the file cannot be read, or asks for no threads.
        """
        parameters = read_parameters(parameters_file)
        return cls(BatchScheduler(thread_options(parameters)), parameters, per_model)

    def applied_to(self, servable: Servable, directory: Path) -> Servable:
        """Returns `servable`, or one that runs the requests to it together.

        Args:
            servable: a loaded model.
            directory: its SavedModel directory, where parameters of its own may be.

        Raises:
            StatusError: the parameters cannot be read, or contradict each other.
        """
        parameters = self.parameters
        if self.per_model:
            file = directory / MODEL_PARAMETERS_FILE
            if not file.exists():
                return servable
            parameters = read_parameters(file)
        log.info("Wrapping session to perform batch processing")
        return BatchingServable(servable, self.scheduler, queue_options(parameters))


class _Task(NamedTuple):
    """Rows that run together: all of a submission, or the part of it with that number."""

    submission: _Submission
    part: int
    arrays: Mapping[str, Array]
    rows: int


class _Submission:
    """A run that somebody waits for; in several parts if it was split."""

    __slots__ = ("_lock", "_missing", "_outcomes", "deadline", "future", "outputs", "signature", "submitted")

    def __init__(self, signature: str, outputs: tuple[str, ...], future: _Future, deadline: float) -> None:
        self.signature = signature
        self.outputs = outputs
        self.future = future
        self.deadline = deadline
        self.submitted = time.monotonic()
        self._lock = threading.Lock()  # over the outcomes of its parts
        self._outcomes: list[_Outcome | None] = []
        self._missing = 0

    def tasks(self, arrays: Mapping[str, Array], sizes: Sequence[int]) -> list[_Task]:
        """Returns the tasks that it consists of, with so many rows each."""
        if len(sizes) == 1:
            return [_Task(self, 0, arrays, sizes[0])]
        self._outcomes = [None] * len(sizes)
        self._missing = len(sizes)
        parts = split(arrays, sizes, sum(sizes))
        return [_Task(self, index, part, size) for index, (part, size) in enumerate(zip(parts, sizes, strict=True))]

    def put(self, part: int, outcome: _Outcome) -> _Outcome | None:
        """Takes the outcome of a part; returns that of the whole once all parts are there."""
        if not self._outcomes:
            return outcome
        with self._lock:
            self._outcomes[part] = outcome
            self._missing -= 1
            if self._missing:
                return None
        outputs = []
        for done in self._outcomes:
            if isinstance(done, StatusError):
                return done
            assert done is not None  # noqa: S101, for the types: none is missing
            outputs.append(done)
        try:
            return {alias: np.concatenate([rows[alias] for rows in outputs]) for alias in outputs[0]}
        except (ValueError, MemoryError) as problem:
            return invalid_argument(f"The parts of a split request have outputs that do not fit together: {problem}")


class BatchingServable(Servable):
    """A model that runs requests which wait at the same time as one.

    Args:
        servable: what runs the batches; belongs to this one from now on.
        scheduler: forms the batches.
        options: how large they are, and how long they wait.
    """

    batches = True

    def __init__(self, servable: Servable, scheduler: BatchScheduler, options: QueueOptions) -> None:
        self.name = servable.name
        self.version = servable.version
        self.signatures = servable.signatures
        self._servable = servable
        self._options = options
        self._threads = scheduler.name
        self._lane = Lane(scheduler, options, self._process)

    def submit(
        self,
        signature: str,
        arrays: Mapping[str, Array],
        outputs: tuple[str, ...] | None = None,
        timeout_ms: int = 0,
    ) -> _Future:
        """Hands a run in, as `Servable.submit` says.

        A batch has the time of the request in it that has most; all of its requests fail with it.
        """
        found = self.signature(signature)
        wanted = found.outputs if outputs is None else tuple(sorted(set(outputs)))
        rows = count_rows(arrays)
        for _ in arrays:
            BATCHING_INPUT_BATCH_SIZE.observe(value=rows)
        deadline = time.monotonic() + timeout_ms / 1e3 if timeout_ms > 0 else float("inf")
        submission = _Submission(signature, wanted, asyncio.get_running_loop().create_future(), deadline)
        key = (found, wanted, frozenset(arrays))
        self._lane.submit(key, rows, lambda sizes: submission.tasks(arrays, sizes))
        return submission.future

    def run(
        self,
        signature: str,
        arrays: Mapping[str, Array],
        outputs: tuple[str, ...] | None = None,
        timeout_ms: int = 0,
    ) -> dict[str, Array]:
        """Runs a batch of one request, at once and in this thread."""
        return self._run_batch(signature, [arrays], [count_rows(arrays)], outputs, timeout_ms)[0]

    def close(self) -> None:
        """Runs what still waits, and frees the memory."""
        self._lane.close()
        self._servable.close()

    def _run(
        self, signature: Signature, arrays: Mapping[str, Array], outputs: tuple[str, ...], timeout_ms: int | None
    ) -> dict[str, Array]:
        return self._servable._run(signature, arrays, outputs, timeout_ms)

    def _process(self, tasks: Sequence[_Task]) -> None:
        """Runs a batch, and hands everybody his own rows."""
        wanted = [task for task in tasks if not task.submission.future.cancelled()]
        if not wanted:
            return
        outcomes: Sequence[_Outcome]
        try:
            outcomes = self._outcomes(wanted)
        except StatusError as failure:
            outcomes = [failure] * len(wanted)
        except MemoryError:
            outcomes = [StatusError(Code.RESOURCE_EXHAUSTED, "No memory for a batch")] * len(wanted)
        except Exception as failure:  # the thread has to live on, and whoever waits has to know
            log.error(f"A batch of {self.name} failed: {type(failure).__name__}: {failure}")
            outcomes = [StatusError(Code.INTERNAL, f"{type(failure).__name__} in a batch")] * len(wanted)
        settled = []
        for task, outcome in zip(wanted, outcomes, strict=True):
            whole = task.submission.put(task.part, outcome)
            if whole is not None:
                settled.append((task.submission.future, whole))
        if settled:
            with suppress(RuntimeError):  # the server has ended meanwhile
                settled[0][0].get_loop().call_soon_threadsafe(_settle, settled)

    def _outcomes(self, tasks: Sequence[_Task]) -> Sequence[_Outcome]:
        now = time.monotonic()
        for task in tasks:
            BATCHING_QUEUING_LATENCY.observe(self._threads, value=int((now - task.submission.submitted) * 1e6))
        deadline = max(task.submission.deadline for task in tasks)
        if deadline <= now:
            raise StatusError(Code.RESOURCE_EXHAUSTED, "Run() timeout exceeded while waiting in batching queue")
        timeout_ms = 0 if deadline == float("inf") else max(1, int((deadline - now) * 1e3))
        first = tasks[0].submission
        return self._run_batch(
            first.signature, [task.arrays for task in tasks], [task.rows for task in tasks], first.outputs, timeout_ms
        )

    def _run_batch(
        self,
        signature: str,
        inputs: Sequence[Mapping[str, Array]],
        rows: Sequence[int],
        outputs: tuple[str, ...] | None,
        timeout_ms: int,
    ) -> list[dict[str, Array]]:
        """Returns the outputs of each request of a batch.

        Raises:
            StatusError: the requests do not fit together, or their run failed.
        """
        definition = self.signature(signature).definition
        size = self._options.size_to_run(sum(rows))
        BATCHING_PADDING_SIZE.observe(str(size), value=size - sum(rows))
        BATCHING_PROCESSED_BATCH_SIZE.observe(value=size)
        merged = merge(inputs, size, self._options.pads, lambda alias: definition.inputs[alias].name)
        try:
            results = super().run(signature, merged, outputs, timeout_ms)
        finally:
            BATCHING_WRAPPED_RUN_COUNT.add()
        return split(results, rows, size)


def _settle(settled: Sequence[tuple[_Future, _Outcome]]) -> None:
    """Gives futures their outcomes, on their loop."""
    for future, outcome in settled:
        if future.done():
            continue
        if isinstance(outcome, StatusError):
            future.set_exception(StatusError(outcome.code, outcome.message))  # one each: raising changes it
            future.exception()  # whoever waits gets it; that nobody waits any more is no news
        else:
            future.set_result(outcome)

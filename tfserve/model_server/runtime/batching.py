"""A model with batching: the rows of several requests become one run, and each request gets its rows of the outputs.

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
from tfserve.model_server.runtime.batch_arrays import count_rows, merge, padded_bytes, split
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

_MAX_PADDED_BYTES = 256 << 20  # of a batch, beyond which its requests run one by one

_Outcome = dict[str, Array] | StatusError
_Future = asyncio.Future[dict[str, Array]]


@dataclass(frozen=True)
class Batching:
    """Batching for the whole server: its threads and parameters.

    Attributes:
        scheduler: runs the batches of all models.
        parameters: the parameters of the server.
        per_model: whether each model has parameters of its own instead; models without them are not batched then.
    """

    scheduler: BatchScheduler
    parameters: BatchingParameters
    per_model: bool

    @classmethod
    def start(cls, parameters_file: Path | None, per_model: bool) -> Batching:
        """Reads the parameters of the server, and starts its threads.

        Raises:
            StatusError: the file cannot be read, or it configures no threads.
        """
        parameters = read_parameters(parameters_file)
        return cls(BatchScheduler(thread_options(parameters)), parameters, per_model)

    def wrap(self, servable: Servable, directory: Path) -> Servable:
        """Returns a servable that batches the requests to `servable`, or `servable` if it is not to be batched.

        Args:
            servable: a loaded model.
            directory: its SavedModel directory, which can have parameters of its own.

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
    """A submission, or one numbered part of it."""

    submission: _Submission
    part: int
    arrays: Mapping[str, Array]
    rows: int


class _Submission:
    """A run that a caller waits for; in several parts if it was split."""

    __slots__ = ("_lock", "_missing", "_outcomes", "deadline", "future", "outputs", "signature", "submitted")

    def __init__(self, signature: str, outputs: tuple[str, ...], future: _Future, deadline: float) -> None:
        self.signature = signature
        self.outputs = outputs
        self.future = future
        self.deadline = deadline
        self.submitted = time.monotonic()
        self._lock = threading.Lock()  # guards the outcomes of the parts
        self._outcomes: list[_Outcome | None] = []
        self._missing = 0

    def tasks(self, arrays: Mapping[str, Array], sizes: Sequence[int]) -> list[_Task]:
        """Returns the tasks of the submission, whose numbers of rows are `sizes`."""
        if len(sizes) == 1:
            return [_Task(self, 0, arrays, sizes[0])]
        self._outcomes = [None] * len(sizes)
        self._missing = len(sizes)
        parts = split(arrays, sizes, sum(sizes))
        return [_Task(self, index, part, size) for index, (part, size) in enumerate(zip(parts, sizes, strict=True))]

    def put(self, part: int, outcome: _Outcome) -> _Outcome | None:
        """Adds the outcome of a part; returns the outcome of the submission once it has those of all parts."""
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
            assert done is not None  # noqa: S101, for the types: no outcome is missing
            outputs.append(done)
        try:
            return {alias: np.concatenate([rows[alias] for rows in outputs]) for alias in outputs[0]}
        except (ValueError, MemoryError) as problem:
            return invalid_argument(f"The parts of a split request have outputs that do not fit together: {problem}")


class BatchingServable(Servable):
    """A model that runs requests in batches.

    Args:
        servable: runs the batches; it is closed with this servable.
        scheduler: forms the batches.
        options: how large batches are, and how long they wait.
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
        """Submits a run; see `Servable.submit`.

        The time limit of a batch is the longest of its requests. If the batch fails, all of its requests fail.
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
        """Runs a batch of one request, immediately and in this thread."""
        return self._run_batch(signature, [arrays], [count_rows(arrays)], outputs, timeout_ms)[0]

    def close(self) -> None:
        """Runs the waiting requests, and frees the memory."""
        self._lane.close()
        self._servable.close()

    def _run(
        self, signature: Signature, arrays: Mapping[str, Array], outputs: tuple[str, ...], timeout_ms: int | None
    ) -> dict[str, Array]:
        return self._servable._run(signature, arrays, outputs, timeout_ms)

    def _process(self, tasks: Sequence[_Task]) -> None:
        """Runs a batch, and gives each task its rows."""
        active = [task for task in tasks if not task.submission.future.cancelled()]
        if not active:
            return
        outcomes: Sequence[_Outcome]
        try:
            outcomes = self._outcomes(active)
        except StatusError as failure:
            outcomes = [failure] * len(active)
        except MemoryError:
            outcomes = [StatusError(Code.RESOURCE_EXHAUSTED, "No memory for a batch")] * len(active)
        except Exception as failure:  # any error: the thread keeps running, and the callers get an error
            log.error(f"A batch of {self.name} failed: {type(failure).__name__}: {failure}")
            outcomes = [StatusError(Code.INTERNAL, f"{type(failure).__name__} in a batch")] * len(active)
        settled = []
        for task, outcome in zip(active, outcomes, strict=True):
            whole = task.submission.put(task.part, outcome)
            if whole is not None:
                settled.append((task.submission.future, whole))
        if settled:
            with suppress(RuntimeError):  # the event loop has been closed
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
            StatusError: the requests cannot share a batch, or their run failed.
        """
        definition = self.signature(signature).definition
        size = self._options.size_to_run(sum(rows))
        if self._options.pads and len(inputs) > 1 and padded_bytes(inputs, size) > _MAX_PADDED_BYTES:
            # One long row among many short ones would make all of them as long.
            return [
                self._run_batch(signature, [arrays], [count], outputs, timeout_ms)[0]
                for arrays, count in zip(inputs, rows, strict=True)
            ]
        BATCHING_PADDING_SIZE.observe(str(size), value=size - sum(rows))
        BATCHING_PROCESSED_BATCH_SIZE.observe(value=size)
        merged = merge(inputs, size, self._options.pads, lambda alias: definition.inputs[alias].name)
        try:
            results = super().run(signature, merged, outputs, timeout_ms)
        finally:
            BATCHING_WRAPPED_RUN_COUNT.add()
        return split(results, rows, size)


def _settle(settled: Sequence[tuple[_Future, _Outcome]]) -> None:
    """Sets the outcomes of futures, in the thread of their loop."""
    for future, outcome in settled:
        if future.done():
            continue
        if isinstance(outcome, StatusError):
            future.set_exception(StatusError(outcome.code, outcome.message))  # a copy: raising changes an exception
            future.exception()  # avoids a log entry if no caller is waiting any more
        else:
            future.set_result(outcome)

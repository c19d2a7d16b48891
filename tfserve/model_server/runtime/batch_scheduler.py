"""Which requests run together, when, and in which thread: queues of batches, and the threads that serve them in turn.

Nothing here knows what a request is, only how many rows it has. Source: ``shared_batch_scheduler.h`` of TensorFlow.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from tfserve.model_server.runtime.batching_options import QueueOptions, ThreadOptions
from tfserve.model_server.status import Code, StatusError, invalid_argument

TaskT = TypeVar("TaskT")

_NEVER = float("inf")


class Lane(Generic[TaskT]):
    """Where the tasks of one model are handed in; tasks with the same key share batches.

    Args:
        scheduler: forms the batches, and runs them beside those of other models.
        options: how large batches are, and how long they wait.
        process: runs a batch, in one of the scheduler's threads; raises nothing.
    """

    def __init__(
        self, scheduler: BatchScheduler, options: QueueOptions, process: Callable[[Sequence[TaskT]], None]
    ) -> None:
        self.options = options
        self.process = process
        self.closed = False
        self.unfinished = 0  # batches that wait or run
        self._scheduler = scheduler

    def submit(self, key: Hashable, rows: int, split: Callable[[list[int]], Sequence[TaskT]]) -> None:
        """Adds a task to the open batch of its key, or to the next one.

        Args:
            key: what else has to be the same in a batch.
            rows: size of the task.
            split: makes the tasks, given the rows of each: just one, unless the options split large ones.

        Raises:
            StatusError: INVALID_ARGUMENT for more rows than a task may have; UNAVAILABLE when the queue is full.
        """
        self._scheduler.add(self, key, rows, split)

    def close(self) -> None:
        """Runs what waits without waiting for more; returns when nothing waits or runs any more."""
        self._scheduler.drain(self)


class _Batch(Generic[TaskT]):
    __slots__ = ("due", "rows", "tasks")

    def __init__(self, due: float) -> None:
        self.tasks: list[TaskT] = []
        self.rows = 0
        self.due = due


class _Queue(Generic[TaskT]):
    """Batches that wait for a thread. Only the last of them takes further tasks."""

    def __init__(self, lane: Lane[TaskT]) -> None:
        self.lane = lane
        self.batches: deque[_Batch[TaskT]] = deque()

    def sizes(self, rows: int) -> list[int]:
        """Returns the sizes of the tasks that a request of so many rows becomes.

        Raises:
            StatusError: there is no room for it.
        """
        options = self.lane.options
        if rows > options.max_batch_size:
            raise invalid_argument(f"Task size {rows} is larger than maximum input batch size {options.max_batch_size}")
        waiting = max(1, len(self.batches))
        limit = options.max_execution_batch_size
        open_rows = self.batches[-1].rows if self.batches else 0
        full = "The batch scheduling queue to which this task was submitted is full; "
        if options.splits:
            capacity = (options.max_enqueued_batches - waiting) * limit + limit - open_rows
            if rows > capacity:
                raise StatusError(
                    Code.UNAVAILABLE,
                    f"{full}task size is {rows} but scheduling capacity is only {capacity} "
                    f"(num_enqueued_batches={waiting}, max_enqueued_batches={options.max_enqueued_batches}, "
                    f"open_batch_size={open_rows}, max_execution_batch_size={limit})",
                )
            return list(_split_sizes(rows, limit - open_rows or limit, limit))
        if open_rows + rows > limit and waiting >= options.max_enqueued_batches:
            raise StatusError(
                Code.UNAVAILABLE,
                f"{full}currently {waiting} batches enqueued and max_enqueued_batches is "
                f"{options.max_enqueued_batches}",
            )
        return [rows]

    def add(self, task: TaskT, rows: int, now: float) -> None:
        """Adds a task to the open batch, or to a new one if it has no room there."""
        options = self.lane.options
        if not self.batches or self.batches[-1].rows + rows > options.max_execution_batch_size:
            self.batches.append(_Batch(now + options.timeout_seconds))
            self.lane.unfinished += 1
        batch = self.batches[-1]
        batch.tasks.append(task)
        batch.rows += rows

    def due(self) -> float:
        """Returns when the first batch is to run: in the past if it takes no more, else when it has waited enough."""
        first = self.batches[0]
        full = len(self.batches) > 1 or first.rows >= self.lane.options.max_execution_batch_size
        return 0.0 if full or self.lane.closed else first.due


def _split_sizes(rows: int, room: int, limit: int) -> Iterator[int]:
    """Yields sizes that add up to `rows`: first what fits into the open batch, then whole batches and the rest."""
    while rows > room:
        yield room
        rows -= room
        room = limit
    yield rows


class BatchScheduler:
    """Threads that run the batches of all models, taking one from each queue in turn.

    Args:
        options: how many threads, and their name.

    Attributes:
        name: that of the threads.
    """

    def __init__(self, options: ThreadOptions) -> None:
        self.name = options.name
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)  # there may be a batch to run
        self._done = threading.Condition(self._lock)  # a batch was run
        self._queues: dict[tuple[Lane[Any], Hashable], _Queue[Any]] = {}  # those that are not empty, the next one first
        self._alarm = _NEVER  # when the next of the idle threads wakes up by itself
        for index in range(options.count):
            threading.Thread(target=self._serve, name=f"{options.name}_{index}", daemon=True).start()

    def add(self, lane: Lane[TaskT], key: Hashable, rows: int, split: Callable[[list[int]], Sequence[TaskT]]) -> None:
        """Adds a task, as `Lane.submit` says."""
        with self._lock:
            queue = self._queues.get((lane, key)) or _Queue(lane)
            sizes = queue.sizes(rows)
            now = time.monotonic()
            for task, size in zip(split(sizes), sizes, strict=True):
                queue.add(task, size, now)
            self._queues[lane, key] = queue
            if queue.due() < self._alarm:
                self._work.notify()

    def drain(self, lane: Lane[TaskT]) -> None:
        """Runs the tasks of a model out, as `Lane.close` says."""
        with self._lock:
            lane.closed = True
            self._work.notify_all()
            self._done.wait_for(lambda: lane.unfinished == 0)

    def _serve(self) -> None:
        while True:
            lane, batch = self._next_batch()
            lane.process(batch.tasks)
            with self._lock:
                lane.unfinished -= 1
                self._done.notify_all()

    def _next_batch(self) -> tuple[Lane[Any], _Batch[Any]]:
        """Waits for a batch that is due, and takes it."""
        with self._lock:
            while True:
                now = time.monotonic()
                next_due = _NEVER
                for place, queue in self._queues.items():
                    due = queue.due()
                    if due <= now:
                        del self._queues[place]
                        batch = queue.batches.popleft()
                        if queue.batches:
                            self._queues[place] = queue  # behind the others
                        if self._queues:
                            self._work.notify()
                        return queue.lane, batch
                    next_due = min(next_due, due)
                self._wait(next_due, now)

    def _wait(self, until: float, now: float) -> None:
        """Waits for work; only one of the idle threads has to watch the clock."""
        if until >= self._alarm:
            self._work.wait()
            return
        self._alarm = until
        self._work.wait(until - now)
        if self._alarm == until:  # no other thread was told of an earlier batch
            self._alarm = _NEVER

"""Decides which requests run together, when, and in which thread: queues of batches, served in turn by threads.

This module only knows how many rows a request has. Source: ``shared_batch_scheduler.h`` of TensorFlow.
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
    """The entrance for the tasks of one model; tasks with the same key share batches.

    Args:
        scheduler: forms the batches, and runs them alongside those of other models.
        options: how large batches are, and how long they wait.
        process: runs a batch in one of the scheduler's threads; must not raise.
    """

    def __init__(
        self, scheduler: BatchScheduler, options: QueueOptions, process: Callable[[Sequence[TaskT]], None]
    ) -> None:
        self.options = options
        self.process = process
        self.closed = False
        self.unfinished = 0  # batches that are waiting or running
        self._scheduler = scheduler

    def submit(self, key: Hashable, rows: int, split: Callable[[list[int]], Sequence[TaskT]]) -> None:
        """Adds a task to the open batch of its key, or to the next one.

        Args:
            key: identifies the tasks that can share a batch.
            rows: size of the task.
            split: makes the tasks, given the rows of each: only one, unless the options split large tasks.

        Raises:
            StatusError: INVALID_ARGUMENT, the task has too many rows; UNAVAILABLE, the queue is full.
        """
        self._scheduler.add(self, key, rows, split)

    def close(self) -> None:
        """Runs the waiting batches immediately; returns when all batches have finished."""
        self._scheduler.drain(self)


class _Batch(Generic[TaskT]):
    __slots__ = ("due", "rows", "tasks")

    def __init__(self, due: float) -> None:
        self.tasks: list[TaskT] = []
        self.rows = 0
        self.due = due


class _Queue(Generic[TaskT]):
    """Batches that wait for a thread. Only the last of them is open for more tasks."""

    def __init__(self, lane: Lane[TaskT]) -> None:
        self.lane = lane
        self.batches: deque[_Batch[TaskT]] = deque()

    def sizes(self, rows: int) -> list[int]:
        """Returns the sizes of the tasks that a request with `rows` rows becomes.

        Raises:
            StatusError: the request is too large, or the queue is full.
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
        """Adds a task to the open batch, or to a new one if it does not fit."""
        options = self.lane.options
        if not self.batches or self.batches[-1].rows + rows > options.max_execution_batch_size:
            self.batches.append(_Batch(now + options.timeout_seconds))
            self.lane.unfinished += 1
        batch = self.batches[-1]
        batch.tasks.append(task)
        batch.rows += rows

    def due(self) -> float:
        """Returns when the first batch is due: in the past if it is full, otherwise when its timeout ends."""
        first = self.batches[0]
        full = len(self.batches) > 1 or first.rows >= self.lane.options.max_execution_batch_size
        return 0.0 if full or self.lane.closed else first.due


def _split_sizes(rows: int, room: int, limit: int) -> Iterator[int]:
    """Yields sizes that add up to `rows`: first the room in the open batch, then whole batches, then the remainder."""
    while rows > room:
        yield room
        rows -= room
        room = limit
    yield rows


class BatchScheduler:
    """Threads that run the batches of all models, taking one from each queue in turn.

    Args:
        options: the number and the name of the threads.

    Attributes:
        name: the name of the threads.
    """

    def __init__(self, options: ThreadOptions) -> None:
        self.name = options.name
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)  # a batch may be due
        self._done = threading.Condition(self._lock)  # a batch has finished
        self._queues: dict[tuple[Lane[Any], Hashable], _Queue[Any]] = {}  # without empty queues, the next one first
        self._alarm = _NEVER  # when an idle thread wakes up next
        for index in range(options.count):
            threading.Thread(target=self._serve, name=f"{options.name}_{index}", daemon=True).start()

    def add(self, lane: Lane[TaskT], key: Hashable, rows: int, split: Callable[[list[int]], Sequence[TaskT]]) -> None:
        """Adds a task; see `Lane.submit`."""
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
        """Finishes the batches of a model; see `Lane.close`."""
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
        """Waits for a batch that is due, and removes it from its queue."""
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
                            self._queues[place] = queue  # now the last one
                        if self._queues:
                            self._work.notify()
                        return queue.lane, batch
                    next_due = min(next_due, due)
                self._wait(next_due, now)

    def _wait(self, until: float, now: float) -> None:
        """Waits for work; only one of the idle threads waits with a timeout."""
        if until >= self._alarm:
            self._work.wait()
            return
        self._alarm = until
        self._work.wait(until - now)
        if self._alarm == until:  # no other thread is waiting for an earlier batch
            self._alarm = _NEVER

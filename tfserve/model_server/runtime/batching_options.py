"""The options of batching: ``BatchingParameters``, with the defaults and the checks of the official server.

Sources: ``bundle_factory_util.{h,cc}`` of TensorFlow Serving and ``shared_batch_scheduler.h`` of TensorFlow.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tfserve.model_server.status import invalid_argument
from tfserve.model_server.text_files import read_message
from tfserve.protos.server_config_pb2 import BatchingParameters

MODEL_PARAMETERS_FILE = "batching_params.pbtxt"
"""Name of the file with the parameters of a model, next to its ``saved_model.pb``."""

_MAX_BATCH_SIZE = 1000
_MAX_ENQUEUED_BATCHES = 10


@dataclass(frozen=True)
class QueueOptions:
    """How the requests to one model are batched. Sizes are in rows, the size of dimension 0.

    Attributes:
        max_batch_size: size of the largest request, and of the largest batch if requests are not split.
        timeout_seconds: how long the first request of a batch waits for others, if a thread is free.
        max_enqueued_batches: how many batches can wait for a thread.
        max_execution_batch_size: size of the largest batch that is run.
        splits: whether a request that does not fit into a batch is split over several.
        allowed_batch_sizes: sizes that batches are padded to; empty for any size.
        pads: whether rows of different shapes are padded to share a batch.
    """

    max_batch_size: int = _MAX_BATCH_SIZE
    timeout_seconds: float = 0.0
    max_enqueued_batches: int = _MAX_ENQUEUED_BATCHES
    max_execution_batch_size: int = _MAX_BATCH_SIZE
    splits: bool = False
    allowed_batch_sizes: tuple[int, ...] = ()
    pads: bool = False

    def size_to_run(self, rows: int) -> int:
        """Returns the size that a batch with `rows` rows is padded to."""
        if rows == 0:
            return 0
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)


@dataclass(frozen=True)
class ThreadOptions:
    """The threads that run the batches of all models."""

    count: int
    name: str


def read_parameters(path: Path | None) -> BatchingParameters:
    """Reads a file of batching parameters; without a file, returns the defaults.

    Raises:
        StatusError: the file cannot be read, or does not contain ``BatchingParameters``.
    """
    if path is not None:
        return read_message(path, BatchingParameters())
    parameters = BatchingParameters()
    parameters.thread_pool_name.value = "model_server_batch_threads"
    return parameters


def thread_options(parameters: BatchingParameters) -> ThreadOptions:
    """Returns the options of the batching threads.

    Raises:
        StatusError: INVALID_ARGUMENT, the number of threads is not positive.
    """
    given = parameters.HasField("num_batch_threads")
    count = parameters.num_batch_threads.value if given else os.cpu_count() or 1
    if count < 1:
        raise invalid_argument(f"num_batch_threads must be positive; was {count}")
    return ThreadOptions(count, parameters.thread_pool_name.value or "batch_threads")


def queue_options(parameters: BatchingParameters) -> QueueOptions:
    """Returns the options of the queues of a model.

    Raises:
        StatusError: INVALID_ARGUMENT, a parameter is out of range, or two of them contradict each other.
    """
    max_size = _size(parameters, "max_batch_size", _MAX_BATCH_SIZE)
    allowed = tuple(parameters.allowed_batch_sizes)
    if allowed and allowed[-1] != max_size:
        raise invalid_argument(
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was "
            f"{allowed[-1]}; expected {max_size}"
        )
    splits = parameters.enable_large_batch_splitting.value
    execution_size = _size(parameters, "max_execution_batch_size", max_size) if splits else max_size
    enqueued = _size(parameters, "max_enqueued_batches", _MAX_ENQUEUED_BATCHES)
    timeout_micros = parameters.batch_timeout_micros.value
    if max_size == 0:
        raise invalid_argument("input_batch_size_limit must be positive; was 0")
    if timeout_micros < 0:
        raise invalid_argument(f"batch_timeout_micros must be non-negative; was {timeout_micros}")
    if splits and enqueued == 0:
        raise invalid_argument("max_enqueued_batches must be positive; was 0")
    if splits and execution_size == 0:  # the official server would divide by zero
        raise invalid_argument("max_execution_batch_size must be positive; was 0")
    if splits and max_size < execution_size:
        raise invalid_argument(
            "When enable_large_batch_splitting is true, input_batch_size_limit must be greater than or equal to "
            f"max_execution_batch_size; were {max_size} and {execution_size}"
        )
    return QueueOptions(
        max_batch_size=max_size,
        timeout_seconds=timeout_micros / 1e6,
        max_enqueued_batches=max(1, enqueued),
        max_execution_batch_size=execution_size,
        splits=splits,
        allowed_batch_sizes=allowed,
        pads=parameters.pad_variable_length_inputs,
    )


def _size(parameters: BatchingParameters, name: str, default: int) -> int:
    """Returns a parameter converted to ``size_t``: a negative number becomes a very large one."""
    return int(getattr(parameters, name).value) % (1 << 64) if parameters.HasField(name) else default

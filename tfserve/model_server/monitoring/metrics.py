"""The metrics of TensorFlow Serving that this server provides, with the same names, labels and buckets.

Times are in microseconds. Sources: ``servables/tensorflow/util.cc``, ``saved_model_warmup_util.cc``,
``batching_session.cc`` and ``batching_util.h`` of TensorFlow Serving, and ``cc/saved_model/loader.cc`` of TensorFlow.
"""

from __future__ import annotations

from tfserve.model_server.monitoring.metric import Buckets, Counter, Histogram

_UP_TO_20_MINUTES = Buckets(10, 1.8, 33)
_UP_TO_16_THOUSAND = Buckets(1, 2, 15)
_UP_TO_8_THOUSAND = Buckets(1, 2, 14)
_UP_TO_1_SECOND = Buckets(100, 1.2, 52)

_BATCHING = "/tensorflow/serving/batching_session/"

BATCHING_INPUT_BATCH_SIZE = Histogram(_UP_TO_8_THOUSAND, f"{_BATCHING}input_batch_size")
"""Rows of each input tensor of a request."""

BATCHING_PADDING_SIZE = Histogram(_UP_TO_8_THOUSAND, f"{_BATCHING}padding_size", "execution_batch_size")
"""Rows added to each batch to make its size an allowed one."""

BATCHING_PROCESSED_BATCH_SIZE = Histogram(_UP_TO_8_THOUSAND, f"{_BATCHING}processed_batch_size")
"""Rows of each batch, padding included."""

BATCHING_QUEUING_LATENCY = Histogram(_UP_TO_1_SECOND, f"{_BATCHING}queuing_latency", "thread_pool_name")
"""Time from the arrival of a request to the start of its batch; for each part, if the request was split."""

BATCHING_WRAPPED_RUN_COUNT = Counter(f"{_BATCHING}wrapped_run_count")
"""Runs of batches."""

LOAD_ATTEMPT_COUNT = Counter("/tensorflow/cc/saved_model/load_attempt_count", "model_path", "status")
"""Loads of SavedModels; the status is ``success`` or ``fail``."""

LOAD_LATENCY = Counter("/tensorflow/cc/saved_model/load_latency", "model_path")
"""Time spent in loads, successful or not."""

MODEL_WARMUP_LATENCY = Histogram(_UP_TO_20_MINUTES, "/tensorflow/serving/model_warmup_latency", "model_path", "status")
"""Time of a model's warm-up; the status is OK, or the error in the file of requests."""

MODEL_WARMUP_RECORDS_READ = Counter("/tensorflow/serving/model_warmup_records_read", "model_path", "status")
"""Warm-up requests; the status is that of `MODEL_WARMUP_LATENCY`."""

REQUEST_COUNT = Counter("/tensorflow/serving/request_count", "model_name", "status")
"""Requests; the status is the name of a canonical code, and the model name is empty if a request names none."""

REQUEST_EXAMPLE_COUNT_TOTAL = Counter("/tensorflow/serving/request_example_count_total", "model")
"""Examples in successful MultiInference requests."""

REQUEST_EXAMPLE_COUNTS = Histogram(_UP_TO_16_THOUSAND, "/tensorflow/serving/request_example_counts", "model")
"""Examples in each successful MultiInference request."""

REQUEST_LATENCY = Histogram(_UP_TO_20_MINUTES, "/tensorflow/serving/request_latency", "model_name", "API", "entrypoint")
"""Time of successful requests; the API is ``Predict`` (gRPC), ``predict`` (REST), or empty for status and metadata."""

RUNTIME_LATENCY = Histogram(_UP_TO_20_MINUTES, "/tensorflow/serving/runtime_latency", "model_name", "API", "runtime")
"""Time of the runs of successful requests; the runtime is ``TF1``, the official server's name for sessions."""

METRICS: tuple[Counter | Histogram, ...] = (
    LOAD_ATTEMPT_COUNT,
    LOAD_LATENCY,
    BATCHING_INPUT_BATCH_SIZE,
    BATCHING_PADDING_SIZE,
    BATCHING_PROCESSED_BATCH_SIZE,
    BATCHING_QUEUING_LATENCY,
    BATCHING_WRAPPED_RUN_COUNT,
    MODEL_WARMUP_LATENCY,
    MODEL_WARMUP_RECORDS_READ,
    REQUEST_COUNT,
    REQUEST_EXAMPLE_COUNTS,
    REQUEST_EXAMPLE_COUNT_TOTAL,
    REQUEST_LATENCY,
    RUNTIME_LATENCY,
)
"""All metrics."""

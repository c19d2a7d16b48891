"""Replays the warm-up requests of a model when it is loaded, so that the first client does not wait for lazy setup.

Source: ``saved_model_warmup.md`` and ``saved_model_warmup_util.cc`` of TensorFlow Serving.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from google.protobuf.message import DecodeError

from tfserve.model_server import log
from tfserve.model_server.grpc.examples_requests import GrpcClassify, GrpcRegress
from tfserve.model_server.grpc.multi_inference import GrpcMultiInference
from tfserve.model_server.grpc.predict import GrpcPredict
from tfserve.model_server.grpc.tfrecord import read_records
from tfserve.model_server.inference.request import InferenceRequest
from tfserve.model_server.monitoring.metrics import MODEL_WARMUP_LATENCY, MODEL_WARMUP_RECORDS_READ
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.status import Code, StatusError, invalid_argument
from tfserve.protos.apis_pb2 import PredictionLog

REQUESTS_FILE = Path("assets.extra", "tf_serving_warmup_requests")
"""The path of the requests in a SavedModel directory."""

_MAX_RECORDS = 1000

_REQUESTS: dict[str, Callable[[bytes, int], InferenceRequest]] = {
    "classify_log": GrpcClassify,
    "multi_inference_log": GrpcMultiInference,
    "predict_log": GrpcPredict,
    "regress_log": GrpcRegress,
}


def warm_up(servable: Servable, directory: Path, iterations: int = 1) -> None:
    """Runs each request of the model's warm-up file, if it has one.

    Args:
        servable: the loaded model.
        directory: its SavedModel directory.
        iterations: how many times each request is run.

    Raises:
        StatusError: the file is damaged or too long, or a request fails; the model must not be served then.
    """
    path = directory / REQUESTS_FILE
    if not path.exists():
        log.info(f"No warmup data file found at {path}")
        return
    log.info(f"Starting to read warmup data for model at {path}")
    start = time.monotonic()
    try:
        count, damage = _replay(servable, path, iterations)
    except OSError as failure:
        raise StatusError(Code.UNKNOWN, f"{path} cannot be read: {failure.strerror}") from None
    micros = (time.monotonic() - start) * 1e6
    labels = (str(directory), str(damage) if damage else Code.OK.name)
    MODEL_WARMUP_LATENCY.observe(*labels, value=int(micros))
    MODEL_WARMUP_RECORDS_READ.add(*labels, amount=count)
    if damage:
        hint = "Please verify your warmup data is in TFRecord format."
        raise StatusError(damage.code, f"{damage.message}. {hint}")
    log.info(
        f"Finished reading warmup data for model at {path}. Number of warmup records read: {count}. "
        f"Elapsed time (microseconds): {micros:.0f}."
    )


def _replay(servable: Servable, path: Path, iterations: int) -> tuple[int, StatusError | None]:
    """Runs the requests; returns how many were read, and the error at which reading stopped, if there was one."""
    records = read_records(path)
    count = 0
    while True:
        try:
            record = next(records, None)
        except StatusError as damage:
            return count, damage
        if record is None:
            return count, None
        count += 1
        if count > _MAX_RECORDS:
            raise invalid_argument(f"Number of warmup records exceeds the maximum ({_MAX_RECORDS}) at {path}")
        request = _logged_request(record, path)
        if request is not None:
            for _ in range(iterations):
                calls = request.prepare(servable)
                request.finish(servable, [servable.run(*call) for call in calls])


def _logged_request(record: bytes, path: Path) -> InferenceRequest | None:
    """Returns the request in a record, or None if the record has none."""
    try:
        prediction_log = PredictionLog.FromString(record)
    except DecodeError:
        raise invalid_argument(f"Failed to parse warmup record from {path}") from None
    kind = prediction_log.WhichOneof("log_type")
    if kind is None:
        return None
    if kind not in _REQUESTS:
        raise StatusError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}")
    return _REQUESTS[kind](getattr(prediction_log, kind).request.SerializeToString(), 0)

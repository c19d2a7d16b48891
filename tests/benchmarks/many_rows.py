"""Requests of 1,000 rows of 100 floats, compared with the minimum for such a request in one process, and with gRPC."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from functools import partial

import grpc
import numpy as np
import orjson

from tests.benchmarks.cached_models import models
from tests.benchmarks.load import h2load, wrk
from tests.benchmarks.pairs import Effort, Row, compare
from tests.benchmarks.servers import ANSWER, SCALARS, ModelServer, model_server, post
from tfserve.model_server.runtime.loading import load_servable
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.protos.apis_pb2 import PredictRequest, PredictResponse
from tfserve.protos.saved_model_pb2 import DataType

ROWS, COLUMNS = 1000, 100
_PREDICT = "tensorflow.serving.PredictionService/Predict"
_VALUES = np.random.default_rng(1).standard_normal((ROWS, COLUMNS), np.float32)


def floor_rows(effort: Effort) -> Iterator[Row]:
    """Yields how one request compares with the work that it cannot avoid."""
    base_path = models() / "rows"
    servable = load_servable("rows", 1, base_path / "1", LoadOptions())
    with model_server(base_path) as server:
        for what, signature, output in ("10 floats", "serving_default", "probabilities"), ("100 floats", "same", "y"):
            body = _rest_body(signature)
            post(server.url(), body)
            yield compare(
                f"one REST predict, {ROWS:,} rows of {COLUMNS} floats to {what}",
                partial(_one_request, server, body),
                "parse, numpy.asarray, run, print, in one process",
                partial(_floor, servable, body, signature, output),
                at_most=2,
                rounds=2 * effort.rounds,
            )


def grpc_rows(effort: Effort) -> Iterator[Row]:
    """Yields how predict requests over gRPC compare with the same requests over REST."""
    scalars = _message("", np.array([1, 2, 5], np.float32))
    with model_server(grpc=True) as server:
        post(server.url(), SCALARS)
        assert _call(server.grpc_port, scalars) == list(ANSWER)
        yield compare(
            "gRPC Predict, 3 scalars",
            lambda: h2load(server.grpc_port, _PREDICT, scalars, effort.seconds).rate,
            "REST predict",
            lambda: wrk(server.url(), SCALARS, effort.seconds).rate,
            at_least=0.4,
            rounds=effort.load_rounds,
            unit="/s",
        )
    message, body = _message("", _VALUES), _rest_body("")
    with model_server(models() / "rows", grpc=True) as server:
        post(server.url(), body)
        assert len(_call(server.grpc_port, message)) == ROWS * 10
        yield compare(
            f"gRPC Predict, {ROWS:,} rows of {COLUMNS} floats as tensor_content",
            lambda: h2load(server.grpc_port, _PREDICT, message, effort.seconds).rate,
            "REST predict",
            lambda: wrk(server.url(), body, effort.seconds).rate,
            at_least=4,
            rounds=effort.load_rounds,
            unit="/s",
        )


def _rest_body(signature: str) -> bytes:
    return orjson.dumps({"signature_name": signature, "instances": _VALUES.tolist()})


def _message(signature: str, values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> bytes:
    request = PredictRequest()
    request.model_spec.name = "m"
    request.model_spec.signature_name = signature
    tensor = request.inputs["x"]
    tensor.dtype = DataType.DT_FLOAT
    for size in values.shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = values.tobytes()
    return request.SerializeToString()


def _call(port: int, message: bytes) -> list[float]:
    """Calls Predict once, and returns the values of the one output."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = channel.unary_unary(f"/{_PREDICT}")(message, timeout=60, wait_for_ready=True)
    (tensor,) = PredictResponse.FromString(answer).outputs.values()
    return list(tensor.float_val) or np.frombuffer(tensor.tensor_content, np.float32).tolist()


def _one_request(server: ModelServer, body: bytes) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.connect()
    try:
        begin = time.perf_counter()
        connection.request("POST", "/v1/models/m:predict", body)
        answer = connection.getresponse().read()
        duration = time.perf_counter() - begin
    finally:
        connection.close()
    assert answer.startswith(b'{\n    "predictions": [['), answer[:200]
    return duration


def _floor(servable: Servable, body: bytes, signature: str, output: str) -> float:
    begin = time.perf_counter()
    values = np.asarray(orjson.loads(body)["instances"], np.float32)
    result = servable.run(signature, {"x": values})[output]
    orjson.dumps({"predictions": result}, option=orjson.OPT_SERIALIZE_NUMPY)
    return time.perf_counter() - begin

"""Valid and invalid requests of all kinds to half_plus_two over both APIs, each with the expected status."""

from __future__ import annotations

import json
from typing import NamedTuple

import grpc
import numpy as np
from google.protobuf.message import Message

from tests.benchmarks.servers import SCALARS
from tfserve.protos import apis_pb2 as apis
from tfserve.protos.saved_model_pb2 import DataType

LARGE = 20_000
"""Numbers in a large request."""

_PREDICT = "PredictionService/Predict"


class RestCall(NamedTuple):
    """The bytes of an HTTP request, and the expected status."""

    request: bytes
    status: int


class GrpcCall(NamedTuple):
    """A method, the bytes of a message, and the expected status."""

    method: str
    message: bytes
    status: grpc.StatusCode


def rest_calls() -> list[RestCall]:
    """Returns requests to the REST API."""
    return [
        *[RestCall(_post(SCALARS), 200)] * 8,
        RestCall(_post(b'{"signature_name":"regress_x2_to_y3","instances":[4]}'), 200),
        RestCall(_post(b'{"inputs":{"x":[[1],[2],[3]]}}'), 200),
        RestCall(_post(b'{"signature_name":"classify_x_to_y","instances":[{"b64":"Cg8KDQoBeBIIEgYKBAAAAEA="}]}'), 200),
        large_rest_call(),
        RestCall(_post(SCALARS, "/versions/1"), 200),
        RestCall(_post(b'{"instances":[1,'), 400),
        RestCall(_post(b'{"instances":["a"]}'), 400),
        RestCall(_post(b'{"instances":[{"y":1}]}'), 400),
        RestCall(_post(b'{"signature_name":"nope","instances":[1]}'), 400),
        RestCall(_post(b'{"signature_name":"classify_x_to_y","instances":["no example"]}'), 400),
        RestCall(_post(b""), 400),
        RestCall(_post(SCALARS, "/versions/9"), 404),
        RestCall(_post(SCALARS, "/versions/one"), 400),
        RestCall(_get("/v1/models/m"), 200),
        RestCall(_get("/v1/models/m/metadata"), 200),
        RestCall(_get("/v1/models/nope"), 404),
        RestCall(_get("/elsewhere"), 404),
    ]


def large_rest_call() -> RestCall:
    """Returns a request with many numbers to the REST API."""
    return RestCall(_post(json.dumps({"instances": [[float(number)] for number in range(LARGE)]}).encode()), 200)


def unknown_rest_call(number: int) -> RestCall:
    """Returns a request for a model that does not exist, with a name that is only used once."""
    return RestCall(_get(f"/v1/models/model{number}"), 404)


def grpc_calls() -> list[GrpcCall]:
    """Returns calls to the gRPC APIs."""
    ok, invalid, missing = grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
    examples = apis.Input()
    example = apis.Example()
    example.features.feature["x"].float_list.value.append(2.0)
    examples.example_list.examples.append(example.SerializeToString())
    to_classify, to_regress = _spec(signature="classify_x_to_y"), _spec(signature="regress_x_to_y")
    tasks = [
        apis.InferenceTask(model_spec=to_classify, method_name="tensorflow/serving/classify"),
        apis.InferenceTask(model_spec=to_regress, method_name="tensorflow/serving/regress"),
    ]
    metadata = apis.GetModelMetadataRequest(model_spec=_spec(), metadata_field=["signature_def"])
    return [
        *[_call(_PREDICT, _predict([1, 2, 5]), ok)] * 6,
        large_grpc_call(),
        _call("PredictionService/Classify", apis.ClassificationRequest(model_spec=to_classify, input=examples), ok),
        _call("PredictionService/Regress", apis.RegressionRequest(model_spec=to_regress, input=examples), ok),
        _call("PredictionService/MultiInference", apis.MultiInferenceRequest(tasks=tasks, input=examples), ok),
        _call("PredictionService/GetModelMetadata", metadata, ok),
        _call("ModelService/GetModelStatus", apis.GetModelStatusRequest(model_spec=_spec()), ok),
        _call(_PREDICT, _predict([1], signature="nope"), grpc.StatusCode.FAILED_PRECONDITION),
        _call(_PREDICT, _predict([1], alias="y"), invalid),
        _call(_PREDICT, _predict([1], model="nope"), missing),
        _call(_PREDICT, _predict([1], version=9), missing),
        _call("PredictionService/Classify", apis.ClassificationRequest(model_spec=to_classify), invalid),
        _call("ModelService/HandleReloadConfigRequest", apis.ReloadConfigRequest(), invalid),
        GrpcCall(_PREDICT, b"\xff", grpc.StatusCode.INTERNAL),
        GrpcCall("PredictionService/Nope", b"", grpc.StatusCode.UNIMPLEMENTED),
    ]


def large_grpc_call() -> GrpcCall:
    """Returns a call with many numbers to the gRPC API."""
    return _call(_PREDICT, _predict([float(number) for number in range(LARGE)]), grpc.StatusCode.OK)


def unknown_grpc_call(number: int) -> GrpcCall:
    """Returns a call for a model that does not exist, with a name that is only used once."""
    return _call(_PREDICT, _predict([1], model=f"model{number}"), grpc.StatusCode.NOT_FOUND)


def _post(body: bytes, version: str = "") -> bytes:
    return b"POST /v1/models/m%b:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (
        version.encode(),
        len(body),
        body,
    )


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def _call(method: str, message: Message, status: grpc.StatusCode) -> GrpcCall:
    return GrpcCall(method, message.SerializeToString(), status)


def _spec(model: str = "m", signature: str = "", version: int | None = None) -> apis.ModelSpec:
    spec = apis.ModelSpec(name=model, signature_name=signature)
    if version is not None:
        spec.version.value = version
    return spec


def _predict(
    values: list[float], model: str = "m", signature: str = "", version: int | None = None, alias: str = "x"
) -> apis.PredictRequest:
    request = apis.PredictRequest(model_spec=_spec(model, signature, version))
    tensor = request.inputs[alias]
    tensor.dtype = DataType.DT_FLOAT
    tensor.tensor_shape.dim.add(size=len(values))
    tensor.tensor_content = np.array(values, np.float32).tobytes()
    return request

"""For any bytes, a gRPC method answers or fails with a status of the right class, and the server keeps running."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model_server.server_process import PATIENCE
from tests.model_server.test_several_models import entry, write
from tfserve.protos import apis_pb2 as apis
from tfserve.protos.saved_model_pb2 import TensorProto
from tfserve.protos.tensors import to_proto_content

from .client import Client, predict_request
from .conftest import GrpcProcess
from .test_examples_requests import CLASSIFY, inputs, spec, task

CLASSES = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "OUT_OF_RANGE", "UNIMPLEMENTED"}
NOT_A_MESSAGE = "INTERNAL"  # the status of gRPC's own servers for bytes that are not a message


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[GrpcProcess]:
    """A server of ``zoo`` and ``examples``."""
    directory = tmp_path_factory.mktemp("fuzz")
    config = write(directory / "config", entry("zoo", models / "zoo"), entry("examples", models / "examples"))
    with GrpcProcess(directory / "log", None, config_file=config) as process:
        process.wait_until_ready()
        yield process
        assert process.process.poll() is None
        assert " in the server" not in process.log
        assert "Traceback" not in process.log


@pytest.fixture(scope="module")
def client(process: GrpcProcess) -> Client:
    return process.client()


def code(client: Client, method: str, body: bytes) -> str:
    """Returns the name of the status of a call, after checking its message."""
    call = client.channel.unary_unary(f"/tensorflow.serving.{method}")
    try:
        call(body, timeout=PATIENCE)
    except grpc.RpcError as error:
        name: str = error.code().name
        if name == NOT_A_MESSAGE:
            assert error.details().startswith("The request is not a ")
            return "INVALID_ARGUMENT"
        return name
    return "OK"


WORDS = TensorProto.FromString(to_proto_content(np.array([[b"a", b"b"]], object)))
REQUESTS: list[tuple[str, Message]] = [
    ("PredictionService/Predict", predict_request("zoo", "pair", ("joined",), words=WORDS)),
    ("PredictionService/Classify", apis.ClassificationRequest(model_spec=spec(), input=inputs(1, 2))),
    ("PredictionService/Regress", apis.RegressionRequest(model_spec=spec("regress"), input=inputs(1, 2))),
    ("PredictionService/MultiInference", apis.MultiInferenceRequest(tasks=[task(CLASSIFY)], input=inputs(1, 2))),
    (
        "PredictionService/GetModelMetadata",
        apis.GetModelMetadataRequest(model_spec=spec(), metadata_field=["signature_def"]),
    ),
    ("ModelService/GetModelStatus", apis.GetModelStatusRequest(model_spec=spec())),
]
RELOAD = "ModelService/HandleReloadConfigRequest"


@pytest.mark.parametrize(("method", "request_"), REQUESTS)
def test_each_undamaged_request_is_answered(client: Client, method: str, request_: Message) -> None:
    assert code(client, method, request_.SerializeToString()) == "OK"


@settings(max_examples=150)
@given(st.sampled_from([method for method, _ in REQUESTS]), st.binary(max_size=100))
def test_arbitrary_bytes(client: Client, method: str, body: bytes) -> None:
    assert code(client, method, body) in CLASSES


@settings(max_examples=200)
@given(st.sampled_from(REQUESTS), st.data())
def test_damaged_requests(client: Client, request_: tuple[str, Message], data: st.DataObject) -> None:
    method, message = request_
    body = bytearray(message.SerializeToString())
    for _ in range(data.draw(st.integers(0, 2))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    assert code(client, method, bytes(body[: data.draw(st.integers(0, len(body)))])) in CLASSES


SIZES = st.integers(0, 4) | st.sampled_from([-1, -(1 << 63), 1 << 20, 1 << 31, 1 << 32, (1 << 63) - 1])
TENSORS = st.builds(
    lambda sizes, unknown, **fields: TensorProto(
        tensor_shape={"dim": [{"size": size} for size in sizes], "unknown_rank": unknown}, **fields
    ),
    sizes=st.lists(SIZES, max_size=4) | st.sampled_from([[1] * 32, [1] * 254, [2] * 255]),
    unknown=st.sampled_from([False, False, False, True]),
    dtype=st.integers(-1, 25) | st.sampled_from([1, 7, 101, 107, 1 << 20]),
    tensor_content=st.just(b"") | st.binary(max_size=40) | st.sampled_from([b"\xff" * 9, b"\xff\xff\xff\xff\x0f"]),
    float_val=st.lists(st.floats(width=32), max_size=3),
    int_val=st.lists(st.integers(-(1 << 31), (1 << 31) - 1), max_size=3),
    string_val=st.lists(st.binary(max_size=3), max_size=3),
    int64_val=st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=3),
)


@settings(max_examples=120)
@given(st.sampled_from(["", "total", "echo_float32", "echo_string", "echo_int64", "echo_bool", "echo_int8"]), TENSORS)
def test_tensors_of_any_type_shape_and_content(client: Client, signature: str, tensor: TensorProto) -> None:
    assert (
        code(client, "PredictionService/Predict", predict_request("zoo", signature, x=tensor).SerializeToString())
        in CLASSES
    )


@pytest.mark.parametrize("dtype", ["DT_FLOAT", "DT_STRING", "DT_COMPLEX64"])
def test_sizes_without_values_take_no_memory(process: GrpcProcess, client: Client, dtype: str) -> None:
    before = peak(process)
    for sizes in ([1 << 40], [1 << 31, 1 << 31], [1 << 20] * 2, [(1 << 63) - 1], [0, 1 << 62, 4]):
        for value in ({}, {"string_val": [b"x"]}, {"float_val": [1.0]}, {"tensor_content": b"1234"}):
            shape = {"dim": [{"size": size} for size in sizes]}
            tensor = TensorProto(dtype=dtype, tensor_shape=shape, **value)
            request = predict_request("zoo", "echo_float32", x=tensor)
            assert code(client, "PredictionService/Predict", request.SerializeToString()) == "INVALID_ARGUMENT"
    assert peak(process) - before < 20_000


def peak(process: GrpcProcess) -> int:
    """Returns the most memory that a server has used, in KiB."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


@settings(max_examples=60)
@given(st.binary(max_size=60) | st.integers(0, 200))
def test_invalid_configurations(client: Client, models: Path, body: bytes | int) -> None:
    request = apis.ReloadConfigRequest()
    for name in ("zoo", "examples"):
        path = str(models / name)
        request.config.model_config_list.config.add(name=name, base_path=path, model_platform="tensorflow")
    whole = request.SerializeToString()
    assert code(client, RELOAD, whole[:body] if isinstance(body, int) else body) in CLASSES
    assert code(client, RELOAD, whole) == "OK"

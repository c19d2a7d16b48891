"""Servers that answer with more than a client can hold: each answer is refused before it takes memory or time."""

from __future__ import annotations

import contextlib
import json
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from tests.cli.conftest import in_process
from tests.program import Program
from tfserve.client import grpc_channel, numpy_client
from tfserve.client.answer_table import tabulate
from tfserve.client.failures import TimedOutError
from tfserve.client.grpc import GrpcClient
from tfserve.client.json_document import read_json
from tfserve.client.model_ref import ModelRef
from tfserve.client.rest import RestClient, poll_status
from tfserve.client.results import read_classes, read_values, tabulate_results
from tfserve.errors import RequestError
from tfserve.models.saved_model import Signature, TensorSpec
from tfserve.protos import apis_pb2 as apis
from tfserve.protos.json_memory import json_memory
from tfserve.protos.saved_model_pb2 import DataType, SignatureDef, TensorInfo, TensorProto, TensorShapeProto

from .faulty_server import FaultyServer, responding_json

MODEL = ModelRef("m")
OUTPUT = Signature("tensorflow/serving/predict", {}, {"y": TensorSpec("DT_FLOAT", None)})
METADATA = {
    "model_spec": {"name": "m", "version": "1"},
    "metadata": {
        "signature_def": {
            "signature_def": {
                "serving_default": {
                    "method_name": "tensorflow/serving/predict",
                    "inputs": {"x": {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1"}]}}},
                    "outputs": {"y": {"dtype": "DT_FLOAT", "tensor_shape": {"unknown_rank": True}}},
                }
            }
        }
    },
}


@contextmanager
def memory_limited(size: int = 400 * 2**20) -> Iterator[None]:
    """Fails the test if the process needs much more memory than before."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10 < size


def answering(body: bytes) -> FaultyServer:
    """A server with the metadata of a model, which answers all other requests with `body`."""

    def answer(connection: Any, over: Any) -> None:
        request = server.requests[-1]
        content = json.dumps(METADATA).encode() if b"/metadata" in request[:100] else body
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(content) + content
        )

    server = FaultyServer(answer)
    return server


MANY = {
    "lists": (b"[]", 1_000_000),
    "objects": (b"{}", 300_000),
    "results": (b"[[]]", 500_000),
    "keys": (b'{"":0}', 300_000),
    "spaces": (b"[\n\t] ", 1_000_000),
    "numbers": (b"0.1", 1_700_000),
}


def many(kind: str) -> bytes:
    """An answer that takes more than 64 MiB."""
    value, count = MANY[kind]
    return b'{"predictions": [' + b",".join([value] * count) + b"]}"


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sixteenth of the usual limits, so that the answers of a test need not be large."""
    monkeypatch.setattr("tfserve.client.rest.MAX_RESPONSE_MEMORY", 2**26)
    monkeypatch.setattr("tfserve.protos.json_memory._MANY_VALUES", 2**22)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("answer", MANY)
def test_answers_with_many_values(answer: str) -> None:
    with memory_limited(), answering(many(answer)) as server, RestClient(server.url) as client:
        with pytest.raises(RequestError, match="has too many values") as caught:
            client.infer("predict", MODEL, b"{}")
        assert caught.value.exit_code == 8
        assert caught.value.hint


def test_largest_answer() -> None:
    """The usual limit; without one, these lists would take 1 GiB."""
    body = b'{"outputs": [' + b"[]," * 16_000_000 + b"[]]}"
    with (
        memory_limited(),
        answering(body) as server,
        RestClient(server.url) as client,
        pytest.raises(RequestError, match="has too many values"),
    ):
        client.infer("predict", MODEL, b"{}")


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("verb", [("predict", "m", "1"), ("classify", "m", "x=1.0"), ("regress", "m", "x=1.0")])
def test_commands(verb: tuple[str, ...], tfserve: Program) -> None:
    with memory_limited(), answering(many("objects")) as server:
        done = in_process(tfserve, *verb, "--url", server.url)
    assert done.returncode == 8
    assert "has too many values" in done.stderr


def test_documents_with_many_values() -> None:
    versions = b'{"model_version_status": [' + b"{}," * 400_000 + b"{}]}"
    with responding_json(versions) as server:
        with RestClient(server.url) as client:
            for ask in (lambda: client.status("m"), lambda: client.metadata(MODEL)):
                with pytest.raises(RequestError, match="has too many values"):
                    ask()
        with pytest.raises(RequestError, match="has too many values"):
            poll_status(server.url, "m")


def test_honest_answers_are_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = 64 * 224 * 224
    sample = b"[0.1234567,0.1234567,0.1234567]," * 10_000
    monkeypatch.setattr("tfserve.protos.json_memory._MANY_VALUES", 0)
    assert json_memory(sample) * pixels / 10_000 < 2**30
    assert json_memory(json.dumps(METADATA).encode() * 500) < 64 * 2**20


def test_time_includes_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(function: Callable[..., Any]) -> Callable[..., Any]:
        def slowed(*arguments: Any) -> Any:
            time.sleep(0.15)
            return function(*arguments)

        return slowed

    from tfserve.client import json_arrays
    from tfserve.client.transport import reply

    with answering(b'{"outputs": [1.0]}') as server, RestClient(server.url, timeout=0.1) as client:
        with monkeypatch.context() as patched:
            patched.setattr(reply, "read_json", slow(read_json))
            for ask in (lambda: client.infer("predict", MODEL, b"{}"), lambda: client.metadata(MODEL)):
                with pytest.raises(TimedOutError, match="responded, but its response could not be read within"):
                    ask()
        monkeypatch.setattr(json_arrays, "read_outputs", slow(json_arrays.read_outputs))
        with pytest.raises(TimedOutError):
            client.predict_arrays(MODEL, {}, OUTPUT, "serving_default")


NESTED = [b"[" * depth + b"]" * depth for depth in (70, 500, 900, 960, 100_000)]
WRONG = [
    *NESTED,
    *(b'{"a":' * depth + b"0" + b"}" * depth for depth in (100, 900)),
    *(b"0", b'"text"', b"null", b"true", b"{}", b"[[1], [1, 2]]", b"[{}, []]", b'[{"y": 1}, {"z": 2}]'),
    *(b"9" * 5000, b"[" + b"9" * 5000 + b"]", b"-" + b"9" * 5000, b"1e999999", b"NaN", b"[Infinity]"),
    *(rb'"\ud800"', b'"\xff\xfe"', b'{"b64": "?"}', b'{"b64": 1}', b'[{"b64": []}]', b'{"y": 1, "y": [2]}'),
    *(b'["a", 1]', b'[["a", "b"]]', b'[[["a"]]]', b"[[[[], 1]]]", b"[[1, 2, 3]]", b'[["a", 1e999]]', b'["ab"]'),
]


@pytest.mark.parametrize("value", WRONG, ids=lambda value: value[:20].decode("latin-1"))
def test_answers_of_other_types(value: bytes) -> None:
    """Every consumer of an answer either accepts it or raises a RequestError."""
    outputs, predictions, results = (b'{"%s": %s}' % (name, value) for name in (b"outputs", b"predictions", b"results"))
    consumers: list[tuple[bytes, Callable[[Any], Any]]] = [
        (outputs, tabulate),
        (predictions, tabulate),
        (results, read_classes),
        (results, lambda document: read_values(document, 1)),
        (results, lambda document: tabulate_results("classify", document, request=b"{}")),
        (results, lambda document: tabulate_results("regress", document, request=b"{}")),
    ]
    for body, consume in consumers:
        with answering(body) as server, RestClient(server.url) as client:
            try:
                consume(client.infer("predict", MODEL, b"{}").document)
            except RequestError as error:
                assert len(error.message) < 5000
    with answering(outputs) as server, numpy_client.Client(server.url, model="m") as client_:
        try:
            client_.predict([1.0])
        except RequestError as error:
            assert len(error.message) < 5000
    with responding_json(value) as server, RestClient(server.url) as client:
        with contextlib.suppress(RequestError):
            assert client.status("m") == ()
        with pytest.raises(RequestError):
            client.metadata(MODEL)


def test_table_with_many_columns() -> None:
    with pytest.raises(RequestError, match="2,000 outputs"):
        tabulate({"outputs": {str(number): [1] for number in range(2000)}})


@contextmanager
def grpc_service(**answers: bytes) -> Iterator[str]:
    """Runs a gRPC server that answers each method with these bytes."""
    server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.max_send_message_length", -1)])
    handlers = {
        method: grpc.unary_unary_rpc_method_handler(lambda request, context, answer=answer: answer)
        for method, answer in answers.items()
    }
    for service in ("PredictionService", "ModelService"):
        name = f"tensorflow.serving.{service}"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def predict_response(**tensors: TensorProto) -> bytes:
    return apis.PredictResponse(outputs=tensors).SerializeToString()


def repeated(size: int) -> TensorProto:
    """A tensor that lists one of its values."""
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size)])
    return TensorProto(dtype=DataType.DT_FLOAT, tensor_shape=shape, float_val=[1.0])


def names(count: int) -> dict[str, TensorProto]:
    return {f"y{number}": repeated(2**22) for number in range(count)}


def test_expanded_tensors_over_grpc(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor of 16 MiB in a few bytes is accepted, but not many of them."""
    monkeypatch.setattr("tfserve.client.grpc._MAX_TENSORS", 2**27)
    signature = Signature("", {}, {name: TensorSpec("DT_FLOAT", None) for name in names(100)})
    for response, known, words in (
        (predict_response(**names(100)), signature, "larger than 128 MiB"),
        (predict_response(y=repeated(2**40)), OUTPUT, "malformed"),
    ):
        with (
            grpc_service(Predict=response) as address,
            GrpcClient(address) as client,
            memory_limited(),
            pytest.raises(RequestError, match=words),
        ):
            client.predict_arrays(MODEL, {}, known, "")


def signature_defs(outputs: int = 1) -> bytes:
    shape = TensorShapeProto(unknown_rank=True)
    info = TensorInfo(name="t", dtype=DataType.DT_FLOAT, tensor_shape=shape)
    names_ = ["y"] if outputs == 1 else [f"y{number}" for number in range(outputs)]
    definition = SignatureDef(method_name="m", outputs=dict.fromkeys(names_, info))
    return apis.SignatureDefMap(signature_def={"serving_default": definition}).SerializeToString()


def metadata_response(value: bytes) -> bytes:
    response = apis.GetModelMetadataResponse()
    response.metadata["signature_def"].value = value
    return response.SerializeToString()


def test_values_as_json_over_grpc() -> None:
    """What the commands show is converted to Python objects, which are much larger."""
    answers = {
        "GetModelMetadata": metadata_response(signature_defs(12)),
        "Predict": predict_response(**names(12)),
    }
    with (
        grpc_service(**answers) as address,
        GrpcClient(address) as client,
        memory_limited(),
        pytest.raises(RequestError, match="has too many values"),
    ):
        client.infer("predict", MODEL, b'{"inputs": {}}')


def test_empty_lists_over_grpc() -> None:
    """A tensor without values can still have any number of rows."""
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in (2**40, 0)])
    answers = {
        "GetModelMetadata": metadata_response(signature_defs()),
        "Predict": predict_response(y=TensorProto(dtype=DataType.DT_FLOAT, tensor_shape=shape)),
    }
    with grpc_service(**answers) as address, GrpcClient(address) as client, memory_limited():
        assert client.predict_arrays(MODEL, {}, OUTPUT, "")["y"].shape == (2**40, 0)
        with pytest.raises(RequestError, match="has too many values"):
            client.infer("predict", MODEL, b'{"inputs": {}}')


FIELDS = {
    "versions": ("GetModelStatus", b"\x0a\x00" * 1_000_000),
    "signatures": ("GetModelMetadata", metadata_response(b"\x0a\x00" * 1_000_000)),
    "dimensions": (
        "GetModelMetadata",
        metadata_response(
            apis.SignatureDefMap(
                signature_def={
                    "s": SignatureDef(
                        inputs={"x": TensorInfo(tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim()] * 300_000))}
                    )
                }
            ).SerializeToString()
        ),
    ),
    "outputs": ("Predict", b"\x0a\x00" * 9_000_000),
}


@pytest.mark.parametrize("kind", FIELDS)
def test_messages_of_many_fields(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfserve.client.grpc._MAX_FIELDS", 100_000)
    method, answer = FIELDS[kind]
    with grpc_service(**{method: answer}) as address, GrpcClient(address) as client, memory_limited():
        ask: dict[str, Callable[[], Any]] = {
            "GetModelStatus": lambda: client.status("m"),
            "GetModelMetadata": lambda: client.metadata(MODEL),
            "Predict": lambda: client.predict_arrays(MODEL, {}, OUTPUT, ""),
        }
        with pytest.raises(RequestError, match="has too many values"):
            ask[method]()


def test_messages_that_are_too_large() -> None:
    with (
        grpc_service(GetModelStatus=bytes(33 * 2**20)) as address,
        GrpcClient(address) as client,
        pytest.raises(RequestError, match="larger than 32 MiB"),
    ):
        client.status("m")


def test_largest_message(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ("grpc.max_receive_message_length", grpc_channel.MAX_MESSAGE_BYTES) in grpc_channel._OPTIONS
    monkeypatch.setattr(grpc_channel, "MAX_MESSAGE_BYTES", 2**20)
    monkeypatch.setattr(grpc_channel, "_OPTIONS", (("grpc.max_receive_message_length", 2**20),))
    with grpc_service(Predict=bytes(2**21)) as address, GrpcClient(address) as client:
        with pytest.raises(RequestError, match="larger than 1 MiB") as caught:
            client.predict_arrays(MODEL, {}, OUTPUT, "")
        assert caught.value.exit_code == 8

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import grpc
import numpy as np
import pytest

from tfserve.client.connection import connect
from tfserve.client.failures import DroppedError, NotListeningError, RefusedError, TimedOutError
from tfserve.client.grpc import GrpcClient
from tfserve.client.json_arrays import StaleSignatureError
from tfserve.client.messages import Method
from tfserve.client.model_ref import ModelRef
from tfserve.client.rest import RestClient
from tfserve.engines.local.engine import LocalEngine
from tfserve.engines.local.server import LocalServer
from tfserve.errors import RequestError, UsageError
from tfserve.models.saved_model import Signature, TensorSpec
from tfserve.protos import apis_pb2 as apis
from tfserve.servers.status import server_status

from .conftest import Addresses
from .faulty_server import resetting, responding, stalling

ECHO = Signature("tensorflow/serving/predict", {}, {"x": TensorSpec("DT_DOUBLE", None)})


@pytest.fixture(scope="module")
def client(server: Addresses) -> Iterator[GrpcClient]:
    """A gRPC client of the real server."""
    with GrpcClient(server.grpc) as client:
        yield client


def test_same_results_as_rest(client: GrpcClient, server_url: str) -> None:
    with RestClient(server_url) as rest:
        assert client.status("half_plus_two") == rest.status("half_plus_two")
        ours, theirs = client.metadata(ModelRef("half_plus_two")), rest.metadata(ModelRef("half_plus_two"))
        assert (ours.name, ours.version, ours.signatures) == (theirs.name, theirs.version, theirs.signatures)
        assert client.metadata(ModelRef("half_plus_two", version=1)) == ours
        requests: tuple[tuple[Method, bytes], ...] = (
            ("predict", b'{"instances": [1.0, 2, 5]}'),
            ("predict", b'{"inputs": {"x": [1.0]}, "signature_name": "serving_default"}'),
            ("classify", b'{"signature_name": "classify_x_to_y", "examples": [{"x": 1.0}, {"x": [2.0]}]}'),
            ("regress", b'{"signature_name": "regress_x_to_y", "examples": [{}, {}], "context": {"x": 3.0}}'),
        )
        for method, body in requests:
            response = client.infer(method, ModelRef("half_plus_two"), body)
            assert response.document == rest.infer(method, ModelRef("half_plus_two"), body).document
            assert 0 < response.latency_ms < 60_000


@pytest.mark.parametrize(
    ("method", "body", "status", "words"),
    [
        ("predict", b'{"inputs": {}}', 400, "input"),
        ("classify", b'{"signature_name": "classify_x_to_y", "examples": [{"x": 1}]}', 400, "int64"),
        ("regress", b'{"signature_name": "nope", "examples": [{}]}', 400, "nope"),
    ],
)
def test_refusals(client: GrpcClient, method: Method, body: bytes, status: int, words: str) -> None:
    with pytest.raises(RefusedError, match=r"^The server refused the request") as caught:
        client.infer(method, ModelRef("half_plus_two"), body)
    assert (caught.value.status, caught.value.exit_code) == (status, 8)
    assert words in caught.value.message
    assert caught.value.hint


def test_unknown_models_versions_and_labels(client: GrpcClient) -> None:
    for request in (
        lambda: client.status("nope"),
        lambda: client.metadata(ModelRef("half_plus_two", version=7)),
        lambda: client.infer("predict", ModelRef("nope"), b'{"instances": [1]}'),
    ):
        with pytest.raises(RefusedError) as caught:
            request()
        assert caught.value.status == 404
    with pytest.raises(RefusedError):
        client.metadata(ModelRef("half_plus_two", label="stable"))
    with pytest.raises(UsageError, match="cannot be combined"):
        client.metadata(ModelRef("half_plus_two", version=1, label="stable"))


@pytest.mark.parametrize("name", ["", "..", "\udcff"])
def test_invalid_names(client: GrpcClient, name: str) -> None:
    with pytest.raises(UsageError):
        client.status(name)


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("predict", b"{"),
        ("predict", b'{"signature_name": 5, "instances": [1]}'),
        ("classify", b'{"signature_name": 5, "examples": [{}]}'),
        ("classify", b'{"signature_name": "\\ud800", "examples": [{}]}'),
        ("predict", b"[]"),
        ("predict", b"{}"),
        ("predict", b'{"instances": ["a"]}'),
        ("predict", b'{"signature_name": "nope", "instances": [1]}'),
        *(
            (method, b)
            for method in ("classify", "regress")
            for b in (b"{}", b'{"examples": []}', b'{"examples": [5]}')
        ),
        ("classify", b'{"examples": [{"x": [1, 1.5]}]}'),
        ("classify", b'{"examples": [{"x": null}]}'),
        ("classify", b'{"examples": [{"x": 9223372036854775808}]}'),
    ],
)
def test_invalid_requests_are_not_sent(client: GrpcClient, method: Method, body: bytes) -> None:
    with pytest.raises(UsageError):
        client.infer(method, ModelRef("half_plus_two"), body)


def test_messages_of_any_size(client: GrpcClient) -> None:
    x = np.arange(2_000_000, dtype=np.float32)  # 8 MB, twice gRPC's default limit
    signature = client.metadata(ModelRef("half_plus_two")).signatures["serving_default"]
    y = client.predict_arrays(ModelRef("half_plus_two"), {"x": x}, signature, "serving_default")["y"]
    np.testing.assert_array_equal(y, x * 0.5 + 2)


def test_tensors_are_sent_as_content() -> None:
    received: list[apis.PredictRequest] = []

    def predict(body: bytes, context: grpc.ServicerContext) -> bytes:
        received.append(apis.PredictRequest.FromString(body))
        return apis.PredictResponse(outputs=received[0].inputs).SerializeToString()

    with service(predict) as address, GrpcClient(address) as client:
        x = np.array([[1.5], [2.5]], np.float64)
        y = client.predict_arrays(ModelRef("m", label="l"), {"x": x}, ECHO, "s")["x"]
    assert received[0].inputs["x"].tensor_content == x.tobytes()
    assert (received[0].model_spec.name, received[0].model_spec.version_label) == ("m", "l")
    np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("response", [b"\xff", b"\x0a\x0a\x0a\x01x\x12\x05\x08\x01\x22\x01a"])
def test_malformed_responses(response: bytes) -> None:
    """The first is not a message; the second has a float tensor with one byte."""
    with (
        service(lambda *_: response) as address,
        GrpcClient(address) as client,
        pytest.raises(RequestError, match="did not respond as TensorFlow Serving does"),
    ):
        client.predict_arrays(ModelRef("m"), {}, ECHO, "s")


def test_other_outputs_than_the_signature_has() -> None:
    with service(lambda *_: b"") as address, GrpcClient(address) as client, pytest.raises(StaleSignatureError):
        client.predict_arrays(ModelRef("m"), {}, ECHO, "s")


def test_full_queue_is_a_refusal() -> None:
    def predict(body: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.UNAVAILABLE, "The batch scheduling queue is \x1b[31mfull")
        raise AssertionError

    with service(predict) as address, GrpcClient(address) as client, pytest.raises(RefusedError) as caught:
        client.predict_arrays(ModelRef("m"), {}, ECHO, "s")
    assert caught.value.status == 503
    assert r"queue is \x1b[31mfull" in caught.value.message


@contextmanager
def service(predict: Any) -> Iterator[str]:
    """Runs a gRPC server whose method Predict is `predict`, and yields its address."""
    server = grpc.server(ThreadPoolExecutor(1))
    handler = grpc.unary_unary_rpc_method_handler(predict)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", {"Predict": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


def test_nothing_listens(closed_port: int) -> None:
    address = f"127.0.0.1:{closed_port}"
    with GrpcClient(address, timeout=5) as client, pytest.raises(NotListeningError, match=address):
        client.status("m")


def test_time_is_limited() -> None:
    with (
        stalling() as server,
        GrpcClient(server.url, timeout=0.3) as client,
        pytest.raises(TimedOutError, match=r"within 0\.3 s"),
    ):
        client.status("m")


def test_servers_that_do_not_speak_grpc(server_url: str) -> None:
    with GrpcClient(server_url, timeout=5) as client, pytest.raises(RequestError, match="does not speak gRPC"):
        client.status("m")
    ssh = responding(b"SSH-2.0-OpenSSH_9.2\r\n")
    with ssh as faulty, GrpcClient(faulty.url, timeout=5) as client, pytest.raises(RequestError):
        client.status("m")
    with resetting() as faulty, GrpcClient(faulty.url, timeout=5) as client, pytest.raises(DroppedError):
        client.status("m")


def test_tls_to_a_server_without_tls(server: Addresses) -> None:
    with GrpcClient(f"https://{server.grpc}", timeout=5) as client, pytest.raises(RequestError):
        client.status("half_plus_two")


def test_several_threads_at_once(client: GrpcClient) -> None:
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(client.status("half_plus_two"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [client.status("half_plus_two")] * 4


def test_proxy_is_used_for_other_hosts_only(
    server: Addresses, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    with GrpcClient(server.grpc) as client:
        assert client.status("half_plus_two")


@pytest.mark.parametrize("address", ["", "unix:///x", "h:0"])
def test_invalid_address(address: str) -> None:
    with pytest.raises(UsageError, match="is not the URL of a server"):
        connect(address, api="grpc")


def test_without_grpc_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "grpc", "numpy":
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(UsageError, match="gRPC is not installed") as caught:
                connect("h:1", api="grpc")
        assert "pip install 'tfserve-cli[local]'" in str(caught.value.hint)


def test_inputs_larger_than_a_message(client: GrpcClient) -> None:
    x = np.broadcast_to(np.float64(0), 2**28)  # 2 GiB that occupy no memory
    with pytest.raises(UsageError, match=r"these inputs have 2\.0 GiB"):
        client.predict_arrays(ModelRef("half_plus_two"), {"x": x}, ECHO, "s")


def test_health_of_a_server_that_has_only_grpc(server: Addresses) -> None:
    found = LocalServer(
        "a",
        LocalEngine(),
        "running",
        ("half_plus_two",),
        datetime.now(timezone.utc),
        grpc_address=server.grpc,
    )
    status = server_status(found)
    assert (status.health, status.versions) == ("available", {"half_plus_two": ((1, "AVAILABLE"),)})

"""Clients of both APIs that are many, slow, half gone or too talkative; and the end of a server that is in use."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import grpc
import numpy as np
import pytest
import requests

from tfserve.protos.apis_pb2 import PredictResponse
from tfserve.protos.saved_model_pb2 import TensorProto
from tfserve.protos.tensors import to_array, to_proto_fields

from .grpc import frames
from .grpc.client import predict_request
from .grpc.conftest import GrpcProcess

PREDICT = "PredictionService/Predict"
BOUND = 1_000_000
BODY = b'{"instances": [1, 2, 5]}'
ANSWER = [2.5, 3.0, 4.5]
HEAD = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory, half_plus_two: Path) -> Iterator[GrpcProcess]:
    """A server of half_plus_two with a bound on what it takes."""
    log = tmp_path_factory.mktemp("clients") / "log"
    bounds = (f"--grpc_max_message_bytes={BOUND}", f"--rest_api_max_body_bytes={BOUND}")
    with GrpcProcess(log, half_plus_two, *bounds) as process:
        process.wait_until_ready()
        yield process


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connect(sockets: ExitStack, port: int, sent: bytes = b"") -> socket.socket:
    client = sockets.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
    client.sendall(sent)
    return client


def numbers(*values: float) -> TensorProto:
    return TensorProto.FromString(to_proto_fields(np.array(values, np.float32)))


def text(value: str) -> TensorProto:
    scalar = TensorProto(dtype="DT_STRING", string_val=[value.encode()])
    scalar.tensor_shape.SetInParent()
    return scalar


def request() -> bytes:
    return predict_request("m", x=numbers(1, 2, 5)).SerializeToString()


def grpc_answer(client: socket.socket) -> list[float]:
    """Reads the answer of a call that `frames` wrote."""
    received = b""
    while True:
        for kind, payload in frames.frames_in(received):
            if kind == frames.DATA:
                answer: list[float] = to_array(PredictResponse.FromString(payload[5:]).outputs["y"]).tolist()
                return answer
        piece = client.recv(1 << 16)
        assert piece, received
        received += piece


def rest_answer(client: socket.socket) -> list[float]:
    received = b""
    while b"}" not in received:
        piece = client.recv(1 << 16)
        assert piece, received
        received += piece
    answer: list[float] = json.loads(received[received.index(b"{") :])["predictions"]
    return answer


def threads(process: GrpcProcess) -> int:
    return len(list(Path(f"/proc/{process.process.pid}/task").iterdir()))


def test_256_connections_at_once(process: GrpcProcess, sockets: ExitStack) -> None:
    called = [connect(sockets, process.grpc_port, frames.call(PREDICT, request())) for _ in range(256)]
    posted = [connect(sockets, process.port, HEAD % len(BODY) + BODY) for _ in range(256)]
    assert all(grpc_answer(client) == ANSWER for client in called)
    assert all(rest_answer(client) == ANSWER for client in posted)


def test_clients_that_are_slow_cost_no_thread(process: GrpcProcess, sockets: ExitStack) -> None:
    message = request()
    whole = frames.call(PREDICT, message)
    before = threads(process)
    stuck = [
        *(b"", whole[:10], whole[:40], frames.open_call(PREDICT), whole[:-5]),
        *(frames.open_call(PREDICT) + frames.data(message[:9], len(message)),),
    ]
    for sent in stuck * 25:
        connect(sockets, process.grpc_port, sent)
    for sent in (b"", b"POST /v1", HEAD % len(BODY), HEAD % len(BODY) + BODY[:-1]):
        for _ in range(25):
            connect(sockets, process.port, sent)
    assert grpc_answer(connect(sockets, process.grpc_port, whole)) == ANSWER
    assert rest_answer(connect(sockets, process.port, HEAD % len(BODY) + BODY)) == ANSWER
    assert threads(process) - before < 10


def test_clients_that_have_ended_their_side(process: GrpcProcess, sockets: ExitStack) -> None:
    """REST answers them; gRPC takes them for gone, and lets go of them."""
    posted = connect(sockets, process.port, HEAD % len(BODY) + BODY)
    called = connect(sockets, process.grpc_port, frames.open_call(PREDICT))
    for client in (posted, called):
        client.shutdown(socket.SHUT_WR)
    assert rest_answer(posted) == ANSWER
    while called.recv(1 << 16):
        pass


def test_a_message_past_the_bound_is_refused_before_it_comes(process: GrpcProcess, sockets: ExitStack) -> None:
    called = connect(sockets, process.grpc_port, frames.open_call(PREDICT) + frames.data(b"x", BOUND + 1))
    posted = connect(sockets, process.port, HEAD % (BOUND + 1) + b"[")
    chunk = b"%x\r\n%b\r\n" % (BOUND // 2 + 1, b" " * (BOUND // 2 + 1))
    head = (HEAD % 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    chunked = connect(sockets, process.port, head + chunk * 2)
    received = b""
    while b"larger than max" not in received:  # RESOURCE_EXHAUSTED
        piece = called.recv(1 << 16)
        assert piece, received
        received += piece
    assert b"grpc-status\x018" in received
    for client in (posted, chunked):
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 413 ")


def test_messages_that_grow_past_the_bound_when_unpacked_are_refused(process: GrpcProcess) -> None:
    zeros = np.zeros(10 * BOUND, np.float32).tobytes()
    message = predict_request("m", x=TensorProto(dtype="DT_FLOAT", tensor_content=zeros)).SerializeToString()
    channel = grpc.insecure_channel(f"127.0.0.1:{process.grpc_port}", compression=grpc.Compression.Gzip)
    with channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/tensorflow.serving.{PREDICT}")(message, timeout=30)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_signal_fails_no_request_of_clients_that_go_on_asking(models: Path, tmp_path: Path) -> None:
    answers = []
    started = [tmp_path / "rest", tmp_path / "grpc"]
    go = tmp_path / "go"

    def go_on_asking_rest() -> None:
        with requests.Session() as session, suppress(requests.ConnectionError):  # once the port is closed
            while True:
                answers.append(session.post(f"{server.url}:predict", b'{"instances": [[1, 2]]}').status_code)

    def go_on_asking_grpc() -> None:
        client = server.client()
        with pytest.raises(grpc.RpcError) as caught:
            while client.predict(predict_request("m", x=numbers(1, 2))):
                answers.append(200)
        # CANCELLED is what gRPC says of a call that comes between the end and the client's hearing of it.
        assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)

    flag = "--tensorflow_inter_op_parallelism=4"  # the model holds threads of TensorFlow, too
    with ThreadPoolExecutor() as pool, GrpcProcess(tmp_path / "log", models / "zoo", flag) as server:
        server.wait_until_ready()
        body = {"signature_name": "hold", "inputs": {"started": str(started[0]), "go": str(go)}}
        call = predict_request("m", "hold", started=text(str(started[1])), go=text(str(go)))
        held = (pool.submit(server.predict, body), pool.submit(server.client().predict, call))
        asking = [pool.submit(ask) for ask in (go_on_asking_rest, go_on_asking_grpc) * 2]
        server.wait_for(lambda: all(path.exists() for path in started) and len(answers) > 20)
        server.signal(signal.SIGTERM)
        for client in asking:
            client.result(timeout=10)
        assert server.process.poll() is None
        go.touch()
        assert held[0].result(timeout=10).status_code == 200
        assert "turns" in held[1].result(timeout=10).outputs
        assert server.process.wait(timeout=10) == 0
    assert set(answers) == {200}
    assert "Traceback" not in server.log

"""Clients of both APIs that are many, slow, half-closed or too large, and the shutdown of a server in use."""

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
from .server_process import PATIENCE

PREDICT = "PredictionService/Predict"
LIMIT = 1_000_000
BODY = b'{"instances": [1, 2, 5]}'
ANSWER = [2.5, 3.0, 4.5]
HEAD = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory, half_plus_two: Path) -> Iterator[GrpcProcess]:
    """A server of half_plus_two with a limit on the size of requests."""
    log = tmp_path_factory.mktemp("clients") / "log"
    limits = (f"--grpc_max_message_bytes={LIMIT}", f"--rest_api_max_body_bytes={LIMIT}")
    with GrpcProcess(log, half_plus_two, *limits) as process:
        process.wait_until_ready()
        yield process


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connect(sockets: ExitStack, port: int, sent: bytes = b"") -> socket.socket:
    client = sockets.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
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
    """Reads the answer to a call that `frames` made."""
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


def test_slow_clients_do_not_occupy_threads(process: GrpcProcess, sockets: ExitStack) -> None:
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


def test_half_closed_clients(process: GrpcProcess, sockets: ExitStack) -> None:
    """REST answers them; gRPC treats them as disconnected, and closes their connections."""
    posted = connect(sockets, process.port, HEAD % len(BODY) + BODY)
    called = connect(sockets, process.grpc_port, frames.open_call(PREDICT))
    for client in (posted, called):
        client.shutdown(socket.SHUT_WR)
    assert rest_answer(posted) == ANSWER
    while called.recv(1 << 16):
        pass


def test_a_message_beyond_the_limit_is_refused_before_it_arrives(process: GrpcProcess, sockets: ExitStack) -> None:
    called = connect(sockets, process.grpc_port, frames.open_call(PREDICT) + frames.data(b"x", LIMIT + 1))
    posted = connect(sockets, process.port, HEAD % (LIMIT + 1) + b"[")
    chunk = b"%x\r\n%b\r\n" % (LIMIT // 2 + 1, b" " * (LIMIT // 2 + 1))
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


def test_a_compressed_message_beyond_the_limit_is_refused(process: GrpcProcess) -> None:
    zeros = np.zeros(10 * LIMIT, np.float32).tobytes()
    message = predict_request("m", x=TensorProto(dtype="DT_FLOAT", tensor_content=zeros)).SerializeToString()
    channel = grpc.insecure_channel(f"127.0.0.1:{process.grpc_port}", compression=grpc.Compression.Gzip)
    with channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/tensorflow.serving.{PREDICT}")(message, timeout=PATIENCE)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_signal_fails_no_request_of_busy_clients(models: Path, tmp_path: Path) -> None:
    answers = []
    started = [tmp_path / "rest", tmp_path / "grpc"]
    go = tmp_path / "go"

    def send_rest_requests() -> None:
        with requests.Session() as session, suppress(requests.ConnectionError):  # after the port is closed
            while True:
                answers.append(session.post(f"{server.url}:predict", b'{"instances": [[1, 2]]}').status_code)

    def send_grpc_requests() -> None:
        client = server.client()
        with pytest.raises(grpc.RpcError) as caught:
            while client.predict(predict_request("m", x=numbers(1, 2))):
                answers.append(200)
        # CANCELLED is the status of a call that is made before the client has noticed the shutdown.
        assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)

    flag = "--tensorflow_inter_op_parallelism=4"  # held runs occupy threads of TensorFlow
    with ThreadPoolExecutor() as pool, GrpcProcess(tmp_path / "log", models / "zoo", flag) as server:
        server.wait_until_ready()
        body = {"signature_name": "hold", "inputs": {"started": str(started[0]), "go": str(go)}}
        call = predict_request("m", "hold", started=text(str(started[1])), go=text(str(go)))
        held = (pool.submit(server.predict, body), pool.submit(server.client().predict, call))
        clients = [pool.submit(send) for send in (send_rest_requests, send_grpc_requests) * 2]
        server.wait_for(lambda: all(path.exists() for path in started) and len(answers) > 20)
        server.signal(signal.SIGTERM)
        for client in clients:
            client.result(PATIENCE)
        assert server.process.poll() is None
        go.touch()
        assert held[0].result(PATIENCE).status_code == 200
        assert "turns" in held[1].result(PATIENCE).outputs
        assert server.wait_for_exit() == 0
    assert set(answers) == {200}
    assert "Traceback" not in server.log

"""Sends random requests to both APIs of a server with many signatures, and watches the server.

No answer may be an internal error, the server must not crash, and its memory must not grow. `tests/run` sends a few
thousand requests; ``python -m tests.attacks --fuzz 1800`` sends them for half an hour.
"""

from __future__ import annotations

import gzip
import json
import random
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.attacks.measure import memory
from tests.cached import made_by_script
from tests.model_server.grpc.client import predict_request
from tests.model_server.grpc.conftest import GrpcProcess
from tests.model_server.grpc.test_examples_requests import CLASSIFY, inputs, spec, task
from tests.model_server.test_several_models import entry, write
from tfserve.protos import apis_pb2 as apis
from tfserve.protos.saved_model_pb2 import TensorProto

GROWTH_BYTES = 64 << 20
"""How much more memory the server may have at the end than after the first tenth of the time."""

_EXAMPLES_A_BATCH = 200
_ANSWER_SECONDS = 30
_BEYOND_INLINE = 70_000  # bytes: larger requests are parsed elsewhere

NUMBERS = st.integers(-(1 << 70), 1 << 70) | st.floats() | st.sampled_from([0, -0.0, 1e400, 5e-324, 1 << 63])
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=5) | st.just({"b64": "AAAA"})
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["x", "words", "b64", "é", "\n", ""]), inner, max_size=3)
    ),
    max_leaves=12,
)
SIGNATURES = ("", "total", "pair", "echo_float32", "echo_string", "echo_int64", "echo_bool", "echo_int8", "none")
TOKENS = (
    b"NaN",
    b"-Infinity",
    b"[" * 300,
    b"9" * 5000,
    b"\\ud800",
    b"\xff",
    b"\0",
    b'"',
    b"}",
    b",,",
    b"1e999",
    b" " * 99,
)
METHODS = st.sampled_from([b"POST", b"GET", b"HEAD", b"PUT", b"OPTIONS", b"DELETE", b"CONNECT", b"TRACE", b"x"])
PATHS = st.sampled_from(
    [
        *(
            b"/v1/models/zoo:predict",
            b"/v1/models/examples:classify",
            b"/v1/models/examples:regress",
            b"/v1/models/zoo",
        ),
        *(b"/v1/models/zoo/versions/1:predict", b"/v1/models/zoo/labels/x:predict", b"/v1/models/zoo/metadata"),
        b"/v1/models/zoo",
        *(b"/v1/models/zoo/versions/" + b"9" * 400, b"/v1/models/zoo/versions/" + b"9" * 5000 + b":predict"),
        *(b"/", b"*", b"/v1/models/%00%ff%zz:predict", b"http://h/v1/models/zoo", b"/v1/models//:predict"),
    ]
)
HEADER_LINES = st.sampled_from(
    [
        *(b"Content-Encoding: gzip", b"Content-Type: x/y", b"Expect: 100-continue", b"Upgrade: websocket"),
        *(b"Connection: upgrade", b"Origin: http://x", b"Content-Length: 0", b"Content-Length: " + b"9" * 5000),
        *(b"X: " + b"y" * 9000, b": x", b" folded", b"X\0: y", b"Transfer-Encoding: chunked", b"Host: localhost"),
    ]
)


@dataclass
class Findings:
    """What was seen so far: the number of requests, and a sentence for each finding."""

    requests: int = 0
    problems: list[str] = field(default_factory=list)


@contextmanager
def zoo_and_examples() -> Iterator[GrpcProcess]:
    """Runs a server with the two models of the tests that have many signatures."""
    models = made_by_script(Path(__file__).parents[1] / "model_server" / "make_models.py")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        config = write(directory / "config", entry("zoo", models / "zoo"), entry("examples", models / "examples"))
        with GrpcProcess(directory / "log", None, config_file=config) as process:
            yield process.wait_until_ready()  # type: ignore[misc]


def rest(port: int, findings: Findings, number: int) -> None:
    """Sends a batch of REST requests, each on a connection of its own."""

    @seed(number)
    @settings(max_examples=_EXAMPLES_A_BATCH, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(METHODS | st.just(b"POST"), PATHS, st.lists(HEADER_LINES, max_size=3), VALUES, st.data())
    def send(method: bytes, path: bytes, headers: list[bytes], value: object, data: st.DataObject) -> None:
        signature = data.draw(st.sampled_from(SIGNATURES))
        key = data.draw(st.sampled_from(["instances", "inputs", "examples"]))
        body = _damaged(json.dumps({"signature_name": signature, key: value}).encode(), data)
        if data.draw(st.integers(0, 9)) == 0:
            body += b" " * _BEYOND_INLINE
        if b"Content-Encoding: gzip" in headers:
            body = _damaged(gzip.compress(body), data)
        lines = [b"%b %b HTTP/1.1" % (method, path), *headers, b"Connection: close", b"Content-Length: %d" % len(body)]
        request = b"\r\n".join([*lines, b"", b""]) + body
        answer = _exchange(port, request)
        findings.requests += 1
        if answer.split(b" ", 2)[1:2] == [b"500"]:
            findings.problems.append(f"500 for {request[:2000]!r}: {answer[:500]!r}")

    send()


def grpc_calls(port: int, findings: Findings, number: int) -> None:
    """Sends a batch of gRPC requests: valid messages with random tensors, damaged."""
    tensors = st.builds(_tensor, st.integers(-1, 25), st.lists(st.integers(-1, 5), max_size=3), st.data())
    others = [
        ("PredictionService/Classify", apis.ClassificationRequest(model_spec=spec(), input=inputs(1, 2))),
        ("PredictionService/Regress", apis.RegressionRequest(model_spec=spec("regress"), input=inputs(1, 2))),
        ("PredictionService/MultiInference", apis.MultiInferenceRequest(tasks=[task(CLASSIFY)], input=inputs(1, 2))),
        ("PredictionService/GetModelMetadata", apis.GetModelMetadataRequest(model_spec=spec())),
        ("ModelService/GetModelStatus", apis.GetModelStatusRequest(model_spec=spec())),
    ]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:

        @seed(number)
        @settings(max_examples=_EXAMPLES_A_BATCH, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(st.sampled_from(SIGNATURES), tensors, st.none() | st.sampled_from(others), st.data())
        def send(signature: str, tensor: TensorProto, other: tuple[str, object] | None, data: st.DataObject) -> None:
            method, message = other or ("PredictionService/Predict", predict_request("zoo", signature, x=tensor))
            body = _damaged(message.SerializeToString(), data)  # type: ignore[attr-defined]  # a protobuf message
            findings.requests += 1
            try:
                channel.unary_unary(f"/tensorflow.serving.{method}")(body, timeout=_ANSWER_SECONDS)
            except grpc.RpcError as error:
                code, details = error.code().name, error.details()
                if code in ("UNAVAILABLE", "UNKNOWN", "DEADLINE_EXCEEDED") or "in the server" in details:
                    findings.problems.append(f"{code} {details} for {method} {body!r}")

        send()


def run(seconds: float, *, start: int | None = None, show: Callable[[str], None] = print) -> bool:
    """Sends requests of both kinds for a time, but at least one batch of each; returns whether there was no problem.

    Args:
        seconds: how long.
        start: the seed of the first batch; None for a random one.
        show: receives a line for each problem, and one at the end.
    """
    findings = Findings()
    number = random.randrange(1 << 30) if start is None else start
    with zoo_and_examples() as process:
        begin = time.monotonic()
        early = 0
        while True:
            rest(process.port, findings, number)
            grpc_calls(process.grpc_port, findings, number)
            elapsed = time.monotonic() - begin
            if findings.problems or elapsed > seconds:
                break
            number += 1
            if not early and elapsed > seconds / 10:
                early = memory(process.process.pid)
        findings.problems += _problems_of(process, early)
    for problem in findings.problems:
        show(f"fuzz: seed {number}: {problem}")
    show(f"fuzz: {findings.requests} requests in {time.monotonic() - begin:.0f} s, {len(findings.problems)} problems")
    return not findings.problems


def _problems_of(process: GrpcProcess, early: int) -> Iterator[str]:
    if process.process.poll() is not None:
        yield f"the server ended with {process.process.returncode}: {process.log[-2000:]}"
        return
    growth = memory(process.process.pid) - early
    if early and growth > GROWTH_BYTES:
        yield f"the memory grew by {growth / 1e6:.0f} MB"
    for sign in ("Traceback", " in the application", " in the server"):
        if sign in process.log:
            yield f"the log has {sign!r}: {process.log[:2000]}"


def _damaged(body: bytes, data: st.DataObject) -> bytes:
    """Returns `body`, mostly with some bytes changed, a token put in, or an end cut off."""
    changed = bytearray(body)
    for _ in range(data.draw(st.integers(0, 2))):
        position = data.draw(st.integers(0, len(changed)))
        kind = data.draw(st.integers(0, 3))
        if kind == 0:
            changed[position:position] = data.draw(st.sampled_from(TOKENS))
        elif kind == 1:
            changed[position : position + 1] = data.draw(st.binary(max_size=3))
        elif kind == 2:
            del changed[position:]
    return bytes(changed)


def _tensor(dtype: int, sizes: list[int], data: st.DataObject) -> TensorProto:
    return TensorProto(
        dtype=dtype,  # type: ignore[arg-type]  # also numbers that are no type
        tensor_shape={"dim": [{"size": size} for size in sizes]},
        tensor_content=data.draw(st.binary(max_size=40)),
        float_val=data.draw(st.lists(st.floats(width=32), max_size=3)),
        string_val=data.draw(st.lists(st.binary(max_size=3), max_size=3)),
        int64_val=data.draw(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=3)),
    )


def _exchange(port: int, request: bytes) -> bytes:
    """Sends `request` and returns all that is answered, which can be nothing."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_SECONDS) as connection:
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(1 << 16):
                answer += part
        except ConnectionError:
            pass
    return answer

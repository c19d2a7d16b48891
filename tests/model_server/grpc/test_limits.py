"""What clients can make the server hold, and for how long they can occupy it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from tests.attacks.grpc import CLASSIFY, METADATA, MULTI_INFERENCE, PREDICT, RELOAD, STATUS, one_value, predict, tensor
from tests.attacks.http2 import Connection, indexed, prefixed
from tests.model_server.server_process import PATIENCE
from tests.program import eventually
from tfserve.model_server.grpc.calls import MAX_CALLS
from tfserve.model_server.grpc.compression import decompressed
from tfserve.model_server.grpc.examples_requests import GrpcClassify
from tfserve.model_server.grpc.predict import GrpcPredict
from tfserve.protos import apis_pb2
from tfserve.protos.saved_model_pb2 import DataType
from tfserve.protos.tensors import to_array
from tfserve.protos.wire import length_delimited

from .client import Client
from .conftest import GrpcProcess

MB = 1_000_000
FLAGS = ("--grpc_max_bytes_in_flight=8000000", "--grpc_max_fields=50000", "--grpc_max_message_bytes=20000000")
SMALL = predict(one_value(3))
FIRST_INDEX = b"\xbe"  # of the dynamic table of HPACK
GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
EMPTY_BLOCKS = bytes((0x02, 0x08, 0x20, 0x80, 0x00))  # four of DEFLATE's, each with fixed codes and without content
FLOATS = 5 << 3 | 2  # the tag of float_val
CLASSIFY_SPEC = length_delimited(1 << 3 | 2, b"\x0a\1m\x1a\x0fclassify_x_to_y")


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory, half_plus_two: Path) -> Iterator[GrpcProcess]:
    with GrpcProcess(tmp_path_factory.mktemp("limits") / "log", half_plus_two, *FLAGS) as process:
        process.wait_until_ready()
        yield process
        assert "Traceback" not in process.log


@pytest.fixture
def client(process: GrpcProcess) -> Client:
    return process.client()


def connect(process: GrpcProcess, window: int = 65535) -> Connection:
    return Connection("127.0.0.1", process.grpc_port, window)


def floats(count: int) -> bytes:
    return predict(tensor(DataType.DT_FLOAT, count, length_delimited(FLOATS, bytes(4 * count))))


def answers(client: Client, body: bytes = SMALL) -> bool:
    """Whether a request is answered; a refusal has to name the flag."""
    try:
        response = client.call(PREDICT, body, apis_pb2.PredictResponse)
    except grpc.RpcError as refusal:
        assert refusal.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, refusal
        assert "--grpc_max_bytes_in_flight" in refusal.details()
        return False
    assert to_array(response.outputs["y"]).size > 0
    return True


def memory(process: GrpcProcess, kind: str = "RssAnon:") -> int:
    """Returns the memory of a server, in bytes; the most so far if `kind` is ``VmHWM:``."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    return int(status.partition(kind)[2].split()[0]) * 1024


def refused(client: Client, method: str, body: bytes) -> str:
    """Returns the reason why a request is refused."""
    failure = client.failure(method, body)
    assert failure.code == "RESOURCE_EXHAUSTED", failure
    return failure.message


def test_answers_that_no_client_reads_hold_no_more_than_the_limit(process: GrpcProcess, client: Client) -> None:
    before = memory(process)
    with connect(process, window=0) as silent:
        streams = {silent.call(PREDICT, predict(one_value(MB))) for _ in range(50)}
        eventually(lambda: _read(silent) and silent.answering | silent.ended == streams, PATIENCE)
        assert not answers(client, floats(MB))
        assert answers(client)
        assert memory(process) - before < 100 * MB
    eventually(lambda: answers(client, floats(MB)), PATIENCE)


def test_a_single_request_may_exceed_what_all_may_hold(client: Client) -> None:
    eventually(lambda: answers(client, floats(4 * MB)), PATIENCE)


def test_messages_that_do_not_arrive_hold_no_more_than_the_limit(process: GrpcProcess, client: Client) -> None:
    part = prefixed(bytes(6 * MB), declared=6 * MB + 1)
    with contextlib.ExitStack() as stack:
        uploads = [stack.enter_context(connect(process)) for _ in range(4)]
        for upload in uploads:
            (stream,) = upload.open(PREDICT)
            with contextlib.suppress(ConnectionError):
                upload.send(stream, part)
        assert answers(client)
        eventually(lambda: sum(_read(upload) and bool(upload.ended) for upload in uploads) == 3, PATIENCE)


def test_more_calls_than_the_server_takes_end_those_that_have_waited_longest(
    process: GrpcProcess, client: Client
) -> None:
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(process)) for _ in range(MAX_CALLS // 100 + 2)]
        for connection in connections:
            connection.open(PREDICT, 100)
            connection.read_until(time.monotonic() + 0.02)
        assert answers(client)
        eventually(lambda: _read(connections[0]) and len(connections[0].ended) > 0, PATIENCE)
        assert answers(client)
        assert not connections[-1].ended


def test_headers_that_repeat_one_header_end_the_connection(process: GrpcProcess, client: Client) -> None:
    """A header of 3,900 bytes, and then a call with 4,000 references to it, which gRPC itself would accept."""
    with connect(process) as connection:
        connection.open(PREDICT, extra=indexed("x-a", 3900))
        with contextlib.suppress(ConnectionError):
            connection.open(PREDICT, extra=FIRST_INDEX * 4000)
            connection.open(PREDICT)
        eventually(lambda: is_ended(connection), PATIENCE)
    assert answers(client)


def test_headers_without_end_end_the_connection(process: GrpcProcess, client: Client) -> None:
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(process)) for _ in range(4)]
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.continue_headers(PREDICT, bytes(16_000), 1000)
        for connection in connections:
            eventually(functools.partial(is_ended, connection), PATIENCE)
    assert answers(client)


def test_a_large_message_that_is_compressed_to_nothing_stops_no_other_request() -> None:
    body = GZIP_HEAD + EMPTY_BLOCKS * (8 * MB // len(EMPTY_BLOCKS)) + b"\3\0" + bytes(8)
    loop = asyncio.new_event_loop()

    async def turns_of_the_loop() -> int:
        decompressing = asyncio.ensure_future(decompressed(body, MB))
        turns = 0
        while not decompressing.done():
            await asyncio.sleep(0)
            turns += 1
        assert await decompressing == b""
        return turns

    assert loop.run_until_complete(turns_of_the_loop()) > 10
    loop.close()


def test_many_inputs_are_refused_with_a_short_message(client: Client) -> None:
    names = b"".join(length_delimited(2 << 3 | 2, length_delimited(1 << 3 | 2, b"%d" % i)) for i in range(6000))
    failure = client.failure(PREDICT, SMALL + names)
    assert failure.code == "INVALID_ARGUMENT"
    assert failure.message.startswith("input size does not match signature: 6001!=1 len({")


def is_ended(connection: Connection) -> bool:
    try:
        return connection.read(0.01) and False
    except ConnectionError:
        return True


def _read(connection: Connection) -> bool:
    connection.read(0.01)
    return True


def test_calls_without_a_message_are_refused(client: Client) -> None:
    call = client.channel.stream_unary(f"/tensorflow.serving.{PREDICT}")
    with pytest.raises(grpc.RpcError) as raised:
        call(iter(()), timeout=PATIENCE)
    assert raised.value.code() is grpc.StatusCode.INTERNAL


@pytest.mark.parametrize(
    ("method", "body"),
    [
        (PREDICT, predict(tensor(DataType.DT_STRING, 60_000, b"\x42\0" * 60_000))),
        (PREDICT, predict(tensor(DataType.DT_INT64, 60_000, b"\x50\1" * 60_000))),
        (PREDICT, predict(b"", repeat=60_000)),
        (PREDICT, SMALL + b"\x1a\0" * 60_000),  # the output filter
        (PREDICT, SMALL + b"\x28\1" * 60_000),  # an unknown field
        (PREDICT, SMALL + b"\x2b\x2c" * 60_000),  # an unknown group
        (PREDICT, predict(length_delimited(2 << 3 | 2, b"\x12\0" * 60_000))),  # dimensions
        (
            CLASSIFY,
            CLASSIFY_SPEC + length_delimited(2 << 3 | 2, length_delimited(1 << 3 | 2, b"\x0a\0" * 60_000)),
        ),
        (MULTI_INFERENCE, b"\x0a\0" * 60_000),
    ],
)
def test_dense_messages_are_refused_before_they_are_parsed(client: Client, method: str, body: bytes) -> None:
    assert "more than 50000 fields (--grpc_max_fields)" in refused(client, method, body)


@pytest.mark.parametrize(("dtype", "field"), [(DataType.DT_INT32, 7), (DataType.DT_INT64, 10), (DataType.DT_HALF, 13)])
def test_packed_numbers_are_judged_by_their_size_in_memory(client: Client, dtype: DataType, field: int) -> None:
    body = predict(tensor(dtype, 2 * MB, length_delimited(field << 3 | 2, b"\1" * (2 * MB))))
    message = refused(client, PREDICT, body)
    assert message.startswith("The numbers of the message would take ")
    assert "tensor_content" in message


@pytest.mark.parametrize(
    ("method", "size"), [(STATUS, 1 << 16), (METADATA, 1 << 16), (RELOAD, 4 << 20), (PREDICT, 20 * MB)]
)
def test_each_method_has_a_limit_for_its_message(client: Client, method: str, size: int) -> None:
    assert str(size) in refused(client, method, bytes(size + 1))


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_messages_are_answered(client: Client, compression: grpc.Compression) -> None:
    call = client.channel.unary_unary(f"/tensorflow.serving.{PREDICT}")
    for count in (100, MB // 2):
        response = apis_pb2.PredictResponse.FromString(call(floats(count), compression=compression, timeout=PATIENCE))
        assert to_array(response.outputs["y"]).tolist() == [2.0] * count


@pytest.mark.parametrize(("method", "size"), [(PREDICT, 400 * MB), (STATUS, MB)])
def test_messages_are_not_decompressed_beyond_the_limit(process: GrpcProcess, method: str, size: int) -> None:
    before = memory(process, "VmHWM:")
    with connect(process) as connection:
        (stream,) = connection.open(method, compression="gzip")
        connection.send(stream, prefixed(gzip.compress(bytes(size), 1), compressed=True), end=True)
        eventually(lambda: _read(connection) and stream in connection.ended, PATIENCE)
    assert memory(process, "VmHWM:") - before < 200 * MB


def test_refused_requests_are_not_kept(process: GrpcProcess, client: Client) -> None:
    assert answers(client, floats(MB))
    before = memory(process)
    for _ in range(25):
        failure = client.failure(PREDICT, floats(MB) + b"\x1a\1z")  # an unknown output
        assert failure.code == "INVALID_ARGUMENT"
    assert memory(process) - before < 60 * MB


def test_a_request_is_judged_by_its_tensors() -> None:
    assert GrpcPredict(predict(one_value(4 << 20)), 0).size == 16 << 20
    assert GrpcPredict(predict(one_value(1 << 40)), 0).size < 100  # it will be refused
    assert GrpcPredict(predict(tensor(DataType.DT_STRING, 1 << 19, b"")), 0).size == 16 << 20
    context = length_delimited(2 << 3 | 2, bytes(1000)) + b"\x0a\0" * 1000
    examples = length_delimited(2 << 3 | 2, length_delimited(2 << 3 | 2, context))
    assert GrpcClassify(CLASSIFY_SPEC + examples, 0).size > MB


def test_large_values_are_answered_unchanged(client: Client) -> None:
    values = np.arange(300_000, dtype=np.float32)
    for field in (FLOATS, 4 << 3 | 2):  # float_val and tensor_content
        body = predict(tensor(DataType.DT_FLOAT, values.size, length_delimited(field, values.tobytes())))
        response = client.call(PREDICT, body, apis_pb2.PredictResponse)
        assert np.array_equal(to_array(response.outputs["y"]), values / 2 + 2)

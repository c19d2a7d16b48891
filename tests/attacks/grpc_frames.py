"""Attacks on the gRPC API with headers, compressed data and bodies that are small, but take long."""

from __future__ import annotations

import time

from tests.attacks.grpc import PREDICT, each
from tests.attacks.http2 import Connection, indexed, prefixed
from tests.attacks.measure import Attack
from tfserve.protos import apis_pb2
from tfserve.protos.wire import length_delimited

_SECONDS = 10.0
_INPUT_TAG = 2 << 3 | 2  # of `inputs` in PredictRequest
_MB = 1_000_000


def repeated_headers(host: str, port: int) -> None:
    """Calls with 15,000 references to one header of 3,900 bytes, 100 on each of 200 connections."""

    def act(connection: Connection) -> None:
        connection.open(PREDICT, extra=indexed("x-a", 3900))
        for _ in range(100):
            connection.open(PREDICT, extra=b"\xbe" * 15_000)
        connection.read_until(time.monotonic() + _SECONDS)

    each(host, port, 200, act)


def headers_without_end(host: str, port: int) -> None:
    """200 connections that each send 5 MB of headers of one call, which do not end."""

    def act(connection: Connection) -> None:
        connection.continue_headers(PREDICT, bytes(16_000), 300)
        connection.read_until(time.monotonic() + _SECONDS)

    each(host, port, 200, act)


def many_inputs(host: str, port: int) -> None:
    """4,000 requests of 64 KB with 6,900 inputs each, whose last bytes arrive together."""
    spec = apis_pb2.PredictRequest(model_spec=apis_pb2.ModelSpec(name="m")).SerializeToString()
    entries = [length_delimited(_INPUT_TAG, length_delimited(1 << 3 | 2, b"%x" % index)) for index in range(6900)]
    message = prefixed(spec + b"".join(entries))

    def act(connection: Connection) -> None:
        streams = connection.open(PREDICT, 100)
        for stream in streams:
            connection.send(stream, message[:-1])
        for stream in streams:
            connection.send(stream, message[-1:], end=True)
        connection.read_until(time.monotonic() + _SECONDS)

    each(host, port, 40, act)


def empty_deflate_blocks(host: str, port: int) -> None:
    """A message of 126 MB that is decompressed to nothing."""
    blocks = bytes((0x02, 0x08, 0x20, 0x80, 0x00)) * (25 * _MB)
    message = b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + blocks + b"\3\0" + bytes(8)

    def act(connection: Connection) -> None:
        (stream,) = connection.open(PREDICT, compression="gzip")
        connection.send(stream, prefixed(message, compressed=True), end=True)
        connection.read_until(time.monotonic() + _SECONDS)

    each(host, port, 1, act)


ATTACKS: list[Attack] = [repeated_headers, headers_without_end, many_inputs, empty_deflate_blocks]

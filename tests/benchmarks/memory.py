"""Whether the local model server grows: its memory after 100,000 requests of all kinds, compared with after 10,000.

The requests come by both APIs. Large ones that happen to be in the server at once are most of what it holds, and what
allocators keep of that for later is not growth. Left to chance, more of them meet in 90,000 requests than in 10,000;
so both parts begin with as many at once as there are connections, again and again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import grpc
import grpc.aio

from tests.benchmarks.mixed_requests import (
    GrpcCall,
    RestCall,
    grpc_calls,
    large_grpc_call,
    large_rest_call,
    rest_calls,
    unknown_grpc_call,
    unknown_rest_call,
)
from tests.benchmarks.pairs import Effort, Row
from tests.benchmarks.servers import SCALARS, ModelServer, model_server, post

FIRST, ALL = 10_000, 100_000
_CONNECTIONS = 8  # to each of the APIs
_REQUESTS_OF_A_CONNECTION = 60  # on average
_LARGE_AT_FIRST = 30  # on each connection


def rows(effort: Effort) -> Iterator[Row]:
    """Yields the row of this part."""
    with model_server(grpc=True) as server:
        post(server.url(), SCALARS)
        asyncio.run(_ask_many(server, FIRST))
        before = server.resident()
        asyncio.run(_ask_many(server, ALL - FIRST))
        yield Row(f"resident after {ALL:,} mixed requests", server.resident(), f"after {FIRST:,}", before, 1.05, "B")


async def _ask_many(server: ModelServer, count: int) -> None:
    """Sends requests of all kinds, some over new connections or aborted; checks the status of every response."""
    left = iter(range(count))
    rest, calls = rest_calls(), grpc_calls()
    await asyncio.gather(
        *(_ask_rest(server.port, rest, left, random.Random(seed)) for seed in range(_CONNECTIONS)),
        *(_ask_grpc(server.grpc_port, calls, left, random.Random(seed)) for seed in range(_CONNECTIONS)),
    )


async def _ask_rest(port: int, calls: list[RestCall], left: Iterator[int], chance: random.Random) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    large = large_rest_call()
    for turn, number in enumerate(left):
        call = chance.choice([*calls, unknown_rest_call(number)]) if turn >= _LARGE_AT_FIRST else large
        request = call.request
        if chance.random() < 1 / _REQUESTS_OF_A_CONNECTION:
            if chance.random() < 0.5:
                writer.write(request[: len(request) // 2])
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        assert status == call.status, (request[:200], head)
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        await reader.readexactly(length)
    writer.close()


async def _ask_grpc(port: int, calls: list[GrpcCall], left: Iterator[int], chance: random.Random) -> None:
    channel = _channel(port)
    large = large_grpc_call()
    for turn, number in enumerate(left):
        call = chance.choice([*calls, unknown_grpc_call(number)]) if turn >= _LARGE_AT_FIRST else large
        if chance.random() < 1 / _REQUESTS_OF_A_CONNECTION:
            if chance.random() < 0.5:
                _start(channel, call).cancel()
            await channel.close()
            channel = _channel(port)
        status = await _start(channel, call).code()
        assert status is call.status, (call.method, call.message[:200], status)
    await channel.close()


def _channel(port: int) -> grpc.aio.Channel:
    options = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", options)


def _start(channel: grpc.aio.Channel, call: GrpcCall) -> grpc.aio.UnaryUnaryCall:
    return channel.unary_unary(f"/tensorflow.serving.{call.method}")(call.message, timeout=60)

"""Whether the local model server grows: its memory after 100,000 requests of all kinds, against that after 10,000.

Large requests that happen to be in the server at once are most of what it holds, and what allocators keep of that for
later is not growth. Left to chance, more of them meet in 90,000 requests than in 10,000; so both parts begin with as
many at once as there are connections, again and again.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator

from tests.benchmarks.pairs import Effort, Row
from tests.benchmarks.servers import SCALARS, ask, model_server

FIRST, ALL = 10_000, 100_000
_CONNECTIONS = 16
_REQUESTS_OF_A_CONNECTION = 60  # on average
_LARGE_AT_FIRST = 30  # on each connection


def rows(effort: Effort) -> Iterator[Row]:
    """Yields the row of this part."""
    with model_server() as server:
        ask(server.url(), SCALARS)
        asyncio.run(_ask_many(server.port, FIRST))
        before = server.resident()
        asyncio.run(_ask_many(server.port, ALL - FIRST))
        yield Row(f"resident after {ALL:,} mixed requests", server.resident(), f"after {FIRST:,}", before, 1.05, "B")


def _requests() -> list[tuple[bytes, int]]:
    """Returns requests of all kinds, each with the status of its answer."""
    post, get = _post, _get
    return [
        *[(post(SCALARS), 200)] * 8,
        (post(b'{"signature_name":"regress_x2_to_y3","instances":[4]}'), 200),
        (post(b'{"inputs":{"x":[[1],[2],[3]]}}'), 200),
        (post(b'{"signature_name":"classify_x_to_y","instances":[{"b64":"Cg8KDQoBeBIIEgYKBAAAAEA="}]}'), 200),
        (_large(), 200),
        (post(SCALARS, "/versions/1"), 200),
        (post(b'{"instances":[1,'), 400),
        (post(b'{"instances":["a"]}'), 400),
        (post(b'{"instances":[{"y":1}]}'), 400),
        (post(b'{"signature_name":"nope","instances":[1]}'), 400),
        (post(b'{"signature_name":"classify_x_to_y","instances":["no example"]}'), 400),
        (post(b""), 400),
        (post(SCALARS, "/versions/9"), 404),
        (post(SCALARS, "/versions/one"), 400),
        (get("/v1/models/m"), 200),
        (get("/v1/models/m/metadata"), 200),
        (get("/v1/models/nope"), 404),
        (get("/elsewhere"), 404),
    ]


def _large() -> bytes:
    return _post(json.dumps({"instances": [[float(number)] for number in range(20_000)]}).encode())


def _post(body: bytes, version: str = "") -> bytes:
    return b"POST /v1/models/m%b:predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (
        version.encode(),
        len(body),
        body,
    )


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


async def _ask_many(port: int, count: int) -> None:
    """Sends requests of all kinds, some over new connections or cut off half way; checks every answer's status."""
    requests = _requests()
    left = iter(range(count))
    await asyncio.gather(*(_ask_some(port, requests, left, random.Random(seed)) for seed in range(_CONNECTIONS)))


async def _ask_some(port: int, requests: list[tuple[bytes, int]], left: Iterator[int], chance: random.Random) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    large = _large()
    for turn, number in enumerate(left):
        # A name that comes once only must not be remembered.
        unknown = (_get(f"/v1/models/model{number}"), 404)
        request, expected = chance.choice([*requests, unknown]) if turn >= _LARGE_AT_FIRST else (large, 200)
        if chance.random() < 1 / _REQUESTS_OF_A_CONNECTION:
            if chance.random() < 0.5:
                writer.write(request[: len(request) // 2])
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        assert status == expected, (request[:200], head)
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        await reader.readexactly(length)
    writer.close()

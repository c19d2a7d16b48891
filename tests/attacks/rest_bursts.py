"""Attacks on the REST API with many small requests at once, and with what is sent ahead of answers."""

from __future__ import annotations

import contextlib
import gzip

from tests.attacks.measure import Attack
from tests.attacks.rest import CHUNKED, PIECE_BYTES, PREDICT, connect, flood, head, rows

_REGRESS = "/v1/models/m:regress"


def _burst(path: str, element: bytes, connections: int, times: int, packed: bool = True) -> Attack:
    """Returns an attack with bodies of 64 KB that have as many elements as fit, several on each connection."""

    def attack(host: str, port: int) -> None:
        name = b"instances" if path == PREDICT else b"examples"
        body = b'{"%b": [' % name + (element + b",") * (63_900 // (len(element) + 1)) + element + b"]}"
        sent = gzip.compress(body, 9) if packed else body
        headers = ["Content-Encoding: gzip"] if packed else []
        flood(host, port, connections, (head(len(sent), *headers, path=path) + sent) * times, 15)

    return attack


def bursts_of_small_bodies(host: str, port: int) -> None:
    """300 clients with bodies of 64 KB, compressed to some hundred bytes or not, that have thousands of values."""
    _burst(_REGRESS, b'{"a":1}', 300, 1)(host, port)
    _burst(_REGRESS, b"{}", 300, 6)(host, port)
    _burst(PREDICT, b"[1]", 300, 6)(host, port)
    _burst(_REGRESS, b'{"a":1}', 300, 2, packed=False)(host, port)


def pipelined_after_a_large_body(host: str, port: int) -> None:
    """300 clients with a body of 1 MB, and then with thousands of tiny requests or chunks in each segment."""
    large = head(1 << 20, path="/nothing") + b"x" * (1 << 20)
    for start, block in ((b"", b"GET / HTTP/1.1\r\n\r\n"), (CHUNKED, b"2\r\n[[\r\n")):
        flood(host, port, 300, large + start + block * (PIECE_BYTES // len(block)) * 4, 12)


def bodies_behind_a_request_that_takes_long(host: str, port: int) -> None:
    """300 clients with a body that waits for a parser, and 17 of 200 KB or in tiny chunks behind it."""
    first = gzip.compress(rows(b"[1,2]", 2_500_000), 1)
    first = head(len(first), "Content-Encoding: gzip") + first
    for behind in (head(200_000) + b"2" * 200_000, CHUNKED + b"2\r\n[[\r\n" * 7000 + b"0\r\n\r\n"):
        flood(host, port, 300, first + behind * 17, 20)


def pipelined_metadata(host: str, port: int) -> None:
    """300 clients that ask for the metadata 64 times in one segment."""
    flood(host, port, 300, b"GET /v1/models/m/metadata HTTP/1.1\r\nHost: localhost\r\n\r\n" * 64, 15)


def metrics_pages(host: str, port: int) -> None:
    """1,010 names of models that fill the metrics page, if there is one, and 100 clients that ask and do not read."""
    for number in range(1010):
        name = b"%F0%9F%98%80" * 4000 + b"%d" % number
        with contextlib.suppress(OSError), connect(host, port) as client:
            client.sendall(b"GET /v1/models/" + name + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            client.recv(PIECE_BYTES)
    flood(host, port, 100, b"GET /monitoring/prometheus/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 15)


ATTACKS: list[Attack] = [
    *(bursts_of_small_bodies, pipelined_after_a_large_body, bodies_behind_a_request_that_takes_long),
    *(pipelined_metadata, metrics_pages),
]

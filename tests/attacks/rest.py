"""Attacks on the REST API."""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import selectors
import socket
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

from tests.attacks.measure import Attack

_SECONDS = 10.0
_TIMEOUT_SECONDS = 30.0
PIECE_BYTES = 1 << 18
_LIGHT_BYTES = 4_100_000  # nearly the largest bodies that are parsed side by side
PREDICT = "/v1/models/m:predict"
_CLASSIFY = "/v1/models/m:classify"
_GET = b"GET /v1/models/m HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
_SEED = 13


def head(size: int, *headers: str, path: str = PREDICT) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {size}", *headers, "", ""]
    return "\r\n".join(lines).encode()


def connect(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), timeout=_TIMEOUT_SECONDS)


def _post(host: str, port: int, body: bytes, *headers: str, path: str = PREDICT) -> None:
    """Sends a body, and waits for the start of the answer."""
    with contextlib.suppress(OSError), connect(host, port) as client:
        client.sendall(head(len(body), *headers, path=path))
        client.sendall(body)
        client.recv(PIECE_BYTES)


def _zipped(host: str, port: int, body: bytes, times: int = 1) -> None:
    for _ in range(times):
        _post(host, port, body, "Content-Encoding: gzip")


def rows(element: bytes, count: int, last: bytes = b"1") -> bytes:
    """Returns a predict request with `count` times the same row, and another one."""
    return b'{"instances": [' + (element + b",") * count + last + b"]}"


def _bomb(element: bytes, count: int) -> bytes:
    """Returns `rows` compressed, made without having all of it in memory."""
    packer = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    packed = [packer.compress(b'{"instances": [')]
    block = (element + b",") * 100_000
    packed += [packer.compress(block) for _ in range(count // 100_000)]
    return b"".join([*packed, packer.compress(b"1]}"), packer.flush()])


def _each(connections: int, act: Attack, host: str, port: int) -> None:
    """Runs `act` on several connections at the same time."""

    def run(_: int) -> None:
        with contextlib.suppress(OSError):
            act(host, port)

    with ThreadPoolExecutor(connections) as threads:
        list(threads.map(run, range(connections)))


def flood(host: str, port: int, connections: int, sent: bytes, end: float = _SECONDS) -> None:
    """Sends the same bytes on each of many connections, as fast as they are read, and then waits on all of them."""
    selector = selectors.DefaultSelector()
    clients = []
    for _ in range(connections):
        client = connect(host, port)
        client.setblocking(False)
        clients.append(client)
        selector.register(client, selectors.EVENT_WRITE, [memoryview(sent)])
    deadline = time.monotonic() + end
    while time.monotonic() < deadline:
        if not selector.get_map():
            time.sleep(0.1)
        for key, _ in selector.select(0.1):
            rest = key.data[0]
            try:
                key.data[0] = rest[key.fileobj.send(rest[:PIECE_BYTES]) :]  # type: ignore[union-attr]
            except BlockingIOError:
                continue
            except OSError:
                key.data[0] = rest[:0]
            if not key.data[0]:
                selector.unregister(key.fileobj)
    for client in clients:
        client.close()


def _stream(host: str, port: int, connections: int, start: bytes, block: bytes, seconds: float = _SECONDS) -> None:
    """Sends `start` and then the same block again and again on several connections."""
    end = time.monotonic() + seconds

    def send(host: str, port: int) -> None:
        with connect(host, port) as client:
            client.sendall(start)
            while time.monotonic() < end:
                client.sendall(block)

    _each(connections, send, host, port)


# Bodies that are small to send and large to parse.


def gzip_of_empty_lists(host: str, port: int) -> None:
    """194 KB that become 66 million empty lists."""
    _zipped(host, port, _bomb(b"[]", 66_000_000))


def small_gzip_of_empty_lists(host: str, port: int) -> None:
    """58 KB that become 19 million empty lists, from several clients."""
    body = _bomb(b"[]", 19_000_000)
    _each(4, lambda host, port: _zipped(host, port, body, 3), host, port)


def gzip_of_blanks(host: str, port: int) -> None:
    """300 clients, each with 200 KB that become 200 MB of white space."""
    body = gzip.compress(b" " * 200_000_000, 9)
    _each(100, lambda host, port: _zipped(host, port, body, 3), host, port)


def gzip_just_below_the_limits(host: str, port: int) -> None:
    """Ten clients with 50 KB that become 15 million numbers."""
    body = _bomb(b"1", 15_000_000)
    _each(10, lambda host, port: _zipped(host, port, body), host, port)


def gzip_in_gzip(host: str, port: int) -> None:
    """A bomb inside another one, and one with several members."""
    bomb = gzip.compress(gzip.compress(b"0" * 200_000_000, 9), 9)
    _zipped(host, port, bomb)
    _zipped(host, port, gzip.compress(b" " * 50_000_000, 9) * 100)


def empty_lists(host: str, port: int) -> None:
    """200 MB of empty lists, uncompressed."""
    _post(host, port, rows(b"[]", 66_000_000))


def empty_strings_and_objects(host: str, port: int) -> None:
    """200 MB of empty strings, then of empty objects."""
    _post(host, port, rows(b'""', 66_000_000))
    _post(host, port, rows(b"{}", 66_000_000))


def one_row_of_empty_lists(host: str, port: int) -> None:
    """One row, which cannot be cut, of 15 million empty lists."""
    _post(host, port, b'{"instances": [[' + b"[]," * 15_000_000 + b"[]]]}")


def not_a_number_at_the_end(host: str, port: int) -> None:
    """200 MB of JSON with NaN at the end, in fewer and in more values than are allowed."""
    _post(host, port, rows(b"[1.2345678901234]", 11_000_000, b"[NaN]"))
    _post(host, port, rows(b"1.25", 40_000_000, b"NaN"))


def not_a_number_everywhere(host: str, port: int) -> None:
    """60 MB of JSON with NaN in each row, next to text."""
    _post(host, port, rows(b"NaN", 15_000_000))
    _post(host, port, rows(b'{"x": NaN, "y": "Infinity"}', 1_300_000))


def deep_nesting(host: str, port: int) -> None:
    """100 MB of opening brackets, then of opening braces, and small bodies with as many as fit."""
    for opening in (b"[", b'{"a":'):
        _post(host, port, b'{"instances": ' + opening * (100_000_000 // len(opening)))
        for _ in range(100):
            _post(host, port, b'{"instances": ' + opening * (65_000 // len(opening)))


def endless_text(host: str, port: int) -> None:
    """A string, a name and a number, of 200 MB each, and an error that would quote them."""
    _post(host, port, b'{"instances": ["' + b"a" * 200_000_000 + b'"]}')
    _post(host, port, b'{"instances": [{"' + b"a" * 200_000_000 + b'": 1}]}')
    _post(host, port, b'{"instances": [' + b"1" * 200_000_000 + b"]}")
    _post(host, port, b'{"signature_name": "' + b"a" * 100_000_000 + b'", "instances": [1]}')


def escapes(host: str, port: int) -> None:
    """200 MB of backslashes and of escaped quotes in a string."""
    _post(host, port, b'{"instances": ["' + b"\\\\" * 100_000_000 + b'"]}')
    _post(host, port, b'{"instances": ["' + b'\\"' * 100_000_000 + b'"]}')


def an_error_at_the_end(host: str, port: int) -> None:
    """200 MB of numbers and then something that is not JSON, or a truncated document."""
    _post(host, port, rows(b"[1.2345678901234]", 11_000_000, b"x"))
    _post(host, port, rows(b"[1.2345678901234]", 11_000_000)[:-2])


def a_large_context(host: str, port: int) -> None:
    """Small classify requests whose context is repeated for each of many examples."""
    context = b'{"context": {"a": "' + b"a" * 30_000 + b'"}, "examples": [' + b"{}," * 11_000 + b"{}]}"
    for _ in range(20):
        _each(10, lambda host, port: _post(host, port, context, path=_CLASSIFY), host, port)
    _post(host, port, b'{"examples": [' + b"{}," * 15_000_000 + b"{}]}", path=_CLASSIFY)


def many_middle_sized_bodies(host: str, port: int) -> None:
    """100 clients at once with 4 MB of empty lists each, and then of text that is not JSON."""
    for body in (rows(b"[]", _LIGHT_BYTES // 3), rows(b"1.25", _LIGHT_BYTES // 5, b"x")):
        _each(100, lambda host, port, body=body: _post(host, port, body), host, port)  # type: ignore[misc]


def batches_of_images(host: str, port: int) -> None:
    """Three honest clients with 64 images of 224x224x3 as JSON, 190 MB each."""
    numbers = random.Random(_SEED)
    pixel = [[round(numbers.random(), 16) for _ in range(3)] for _ in range(224)]
    image = json.dumps([pixel] * 224).encode()
    body = rows(image, 63, image)
    _each(3, lambda host, port: _post(host, port, body), host, port)


# Bodies that do not end, and answers that are not read.


def unfinished_bodies(host: str, port: int) -> None:
    """60 bodies of 50 MB, of which the last byte is never sent."""
    flood(host, port, 60, head(50_000_000) + b"1" * 49_999_999, 15)


def unfinished_bodies_of_every_size(host: str, port: int) -> None:
    """300 bodies of 60 KB, 1 MB, 4 MB and 200 MB that are never finished."""
    for size in (60_000, 1_000_000, 4_000_000, 200_000_000):
        flood(host, port, 300, head(size) + b"1" * min(size - 1, 2_000_000), 5)


def unfinished_bodies_without_a_length(host: str, port: int) -> None:
    """60 bodies in chunks of 1 MB that never end."""
    flood(host, port, 60, CHUNKED + (b"100000\r\n" + b"1" * (1 << 20) + b"\r\n") * 50, 15)


def crawling_bodies(host: str, port: int) -> None:
    """20 bodies of 200 MB, of which a byte is sent each 100 ms."""
    clients = []
    for _ in range(20):
        client = connect(host, port)
        client.sendall(head(200_000_000) + b"1" * 100_000)
        clients.append(client)
    for _ in range(100):
        time.sleep(0.1)
        for client in clients:
            with contextlib.suppress(OSError):
                client.send(b"1")
    for client in clients:
        client.close()


def unread_answers(host: str, port: int) -> None:
    """20 clients that ask for 30 MB each and do not read it, and 300 that ask for 200 KB ten times."""
    flood(host, port, 20, b"".join((head(len(body := rows(b"1", 7_000_000))), body)), 12)
    small = rows(b"1", 30_000)
    flood(host, port, 300, (head(len(small)) + small) * 10, 8)


# Heads, chunks and connections.


def tiny_headers(host: str, port: int) -> None:
    """300 connections with 255 KB of unfinished small headers each."""
    flood(host, port, 300, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a:\r\n" * 64_000)


def unfinished_heads(host: str, port: int) -> None:
    """1000 connections with a head just below the limits, or one long line, each without an end."""
    names = b"".join(b"h%d: %b\r\n" % (number, b"v" * 450) for number in range(120))
    for sent in (b"GET / HTTP/1.1\r\n" + names, b"GET / HTTP/1.1\r\na: " + b"v" * 60_000, b"GET /" + b"v" * 60_000):
        flood(host, port, 1000, sent, 4)


def tiny_chunks(host: str, port: int) -> None:
    """100 connections with bodies in chunks of one byte, then of five, then with extensions."""
    for chunk in (b"1\r\n1\r\n", b"5\r\n1,1,1\r\n", b"5;" + b"a" * 15 + b"\r\n1,1,1\r\n"):
        _stream(host, port, 100, CHUNKED, chunk * (PIECE_BYTES // len(chunk)), 5)


def endless_trailers(host: str, port: int) -> None:
    """50 connections whose bodies are followed by headers without an end."""
    _stream(host, port, 50, CHUNKED + b"0\r\n", b"a:\r\n" * 60_000, 5)


def pipelined_requests(host: str, port: int) -> None:
    """50 connections with thousands of requests in each segment, whose answers are not read."""
    body = rows(b"1", 1)
    for request in (_GET, b"GET / HTTP/1.1\r\n\r\n", head(len(body)) + body):
        _stream(host, port, 50, b"", request * (PIECE_BYTES // len(request)), 4)


def upgrades(host: str, port: int) -> None:
    """20 connections with thousands of requests to upgrade, each of which is parsed twice."""
    request = b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n" + b"a: b\r\n" * 100 + b"\r\n"
    _stream(host, port, 20, b"", request * (PIECE_BYTES // len(request)), 5)


def connections(host: str, port: int) -> None:
    """Connections that are opened, used for one request, and closed, by eight clients."""
    end = time.monotonic() + 5

    def open_and_close(host: str, port: int) -> None:
        while time.monotonic() < end:
            with contextlib.suppress(OSError), connect(host, port) as client:
                client.sendall(_GET)

    _each(8, open_and_close, host, port)


def long_versions(host: str, port: int) -> None:
    """Versions of 5,000 and of 200,000 digits, and other long paths, 200 times."""
    for _ in range(200):
        for path in (b"/v1/models/m/versions/" + b"9" * 5000, b"/v1/models/m/versions/" + b"9" * 200_000):
            with contextlib.suppress(OSError), connect(host, port) as client:
                client.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
                client.recv(PIECE_BYTES)
        _post(host, port, b"{}", path="/v1/models/" + "\x7f%0a" * 15_000 + ":predict")


ATTACKS: list[Attack] = [
    *(gzip_of_empty_lists, small_gzip_of_empty_lists, gzip_of_blanks, gzip_just_below_the_limits, gzip_in_gzip),
    *(empty_lists, empty_strings_and_objects, one_row_of_empty_lists, not_a_number_at_the_end, not_a_number_everywhere),
    *(deep_nesting, endless_text, escapes, an_error_at_the_end, a_large_context, many_middle_sized_bodies),
    *(batches_of_images, unfinished_bodies, unfinished_bodies_of_every_size, unfinished_bodies_without_a_length),
    *(crawling_bodies, unread_answers, tiny_headers, unfinished_heads, tiny_chunks, endless_trailers),
    *(pipelined_requests, upgrades, connections, long_versions),
]

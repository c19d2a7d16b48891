"""How the HTTP server shares its time and memory among connections that all send as much as they can."""

from __future__ import annotations

import asyncio
import gc
import gzip
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop

from tests.model_server.server_process import PATIENCE
from tfserve.model_server.rest import monitored_app, server_state
from tfserve.model_server.rest.bodies import Bodies, LargeBody
from tfserve.model_server.rest.exchange import App, Exchange, Receive, Scope, Send
from tfserve.model_server.rest.http_server import HttpServer, listen
from tfserve.model_server.rest.json_examples import parse_examples
from tfserve.model_server.rest.limits import LIGHT_BYTES, Limits
from tfserve.model_server.status import StatusError

TINY = b"GET / HTTP/1.1\r\n\r\n"
FEW = 5
MANY = 16


def request(body: bytes, *headers: bytes, path: bytes = b"/") -> bytes:
    return b"\r\n".join([b"POST %b HTTP/1.1" % path, b"Content-Length: %d" % len(body), *headers, b"", body])


class Server(HttpServer):
    """A server on a free port, and clients that write without waiting."""

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self.listener = listen("127.0.0.1", 0)
        self.clients: list[socket.socket] = []

    def connect(self, sent: bytes = b"") -> socket.socket:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        client.connect(self.listener.getsockname())
        self.clients.append(client)
        client.setblocking(False)
        if sent:
            assert client.send(sent) == len(sent)
        return client

    async def send(self, sent: bytes) -> None:
        """Sends the same from many clients at once, and a small request in between."""
        clients = [self.connect() for _ in range(MANY + 1)]
        await until(lambda: len(self.connections) == len(clients))
        for number, client in enumerate(clients):
            client.send(request(b"{}", path=b"/small") if number == MANY // 2 else sent)


def with_server(app: App, test: Callable[[Server], Awaitable[None]]) -> None:
    """Runs `test` with a server on an event loop of the kind that the real one uses."""

    async def run() -> None:
        server, stop = Server(app), asyncio.Event()
        serving = asyncio.ensure_future(server.serve(server.listener, stop, drain_seconds=0.1))
        try:
            await asyncio.wait_for(test(server), PATIENCE)
        finally:
            for client in server.clients:
                client.close()
            stop.set()
            await serving

    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(run())
    finally:
        loop.close()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def answer(send: Send, body: bytes = b"") -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body, and answers."""
    while (await receive()).get("more_body"):
        pass
    await answer(send)


class Held:
    """Answers the requests to ``/held`` once `go` is set, and all others immediately."""

    def __init__(self) -> None:
        self.held = 0
        self.go = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["raw_path"] == b"/held":
            self.held += 1
            await self.go.wait()
        await echo(scope, receive, send)


def waiting() -> list[Exchange]:
    """Returns the requests that have arrived and are not answered."""
    return [found for found in gc.get_objects() if isinstance(found, Exchange) and not found.answered]


def body_of(element: bytes, size: int = 60_000) -> bytes:
    return b'{"examples": [' + element + (b"," + element) * (size // (len(element) + 1)) + b"]}"


@pytest.mark.parametrize(("element", "zipped"), [(b'{"a":1}', False), (b'{"a":1}', True), (b"{}", False)])
def test_bodies_that_take_long_to_parse_do_not_delay_others(element: bytes, zipped: bool) -> None:
    body = body_of(element)
    sent = request(gzip.compress(body), b"Content-Encoding: gzip") if zipped else request(body)
    order: list[bytes] = []

    async def parse(scope: Scope, receive: Receive, send: Send) -> None:
        found = await bodies.read(scope, receive)
        assert not isinstance(found, LargeBody)
        with suppress(StatusError):
            parse_examples(found)
        order.append(scope["raw_path"])
        await answer(send)

    async def test(server: Server) -> None:
        await server.send(sent)
        await until(lambda: len(order) == MANY + 1)

    bodies = Bodies(Limits(), None)  # type: ignore[arg-type]  # no body here needs a parser
    with_server(parse, test)
    assert order.index(b"/small") < FEW


def test_requests_behind_one_another_do_not_delay_others() -> None:
    order: list[bytes] = []

    async def working(scope: Scope, receive: Receive, send: Send) -> None:
        order.append(scope["raw_path"])
        sum(range(30_000))  # stands for a run that takes 0.3 ms or more
        await answer(send)

    async def test(server: Server) -> None:
        await server.send(TINY * 20)
        await until(lambda: len(order) == 20 * MANY + 1)

    with_server(working, test)
    assert order.index(b"/small") < 5 * MANY


@pytest.mark.parametrize("grown_by", [request(b"x" * 1_000_000), TINY, b""])
def test_what_came_before_does_not_let_a_client_have_more_parsed_at_once(grown_by: bytes) -> None:
    most = 0
    app = Held()

    async def test(server: Server) -> None:
        nonlocal most
        client = server.connect()
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, grown_by)
        if grown_by:
            await loop.sock_recv(client, 1000)
        await loop.sock_sendall(client, request(b"", path=b"/held"))
        await until(lambda: app.held == 1)
        await loop.sock_sendall(client, TINY * 10_000)
        for _ in range(100):
            await asyncio.sleep(0)
        most = len(waiting())
        app.go.set()
        received = 0
        while received < 10_000 * len(b"HTTP/1.1 200 OK"):
            received += len(await loop.sock_recv(client, 1 << 20))

    with_server(app, test)
    assert 0 < most < 300


def test_bodies_behind_a_request_that_is_not_answered_are_not_read() -> None:
    app = Held()
    body = request(b"2" * 200_000)

    async def test(server: Server) -> None:
        client = server.connect(request(b"", path=b"/held"))
        await until(lambda: app.held == 1)
        sending = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(client, body * 20))
        await asyncio.sleep(0.05)
        assert sum(found.buffered for found in waiting()) < 600_000
        app.go.set()
        received = b""
        while received.count(b"200 OK") < 21:
            received += await asyncio.get_running_loop().sock_recv(client, 1 << 20)
        await sending
        assert server.bytes_ahead == 0

    with_server(app, test)


def test_what_all_clients_send_behind_requests_that_are_not_answered_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = Held()
    monkeypatch.setattr(server_state, "MAX_BYTES_AHEAD", 500_000)

    async def test(server: Server) -> None:
        clients = [server.connect(request(b"", path=b"/held")) for _ in range(20)]
        await until(lambda: app.held == 20)
        for client in clients:
            client.send(request(b"2" * 100_000))
        await asyncio.sleep(0.05)
        assert 0 < server.bytes_ahead <= 500_000
        app.go.set()
        answers = []
        for client in clients:
            received = b""
            while data := await asyncio.get_running_loop().sock_recv(client, 1 << 20):
                received += data
                if received.count(b"200 OK") == 2:
                    break
            answers.append(received.count(b"200 OK"))
        assert set(answers) == {1, 2}
        assert server.bytes_ahead == 0

    with_server(app, test)


def test_metrics_pages_are_made_once_for_all_who_wait_and_take_room(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    def page(_: object) -> bytes:
        nonlocal made
        made += 1
        time.sleep(0.005)
        return b"x" * (2 * LIGHT_BYTES)

    async def test(server: Server) -> None:
        await server.send(b"GET /metrics HTTP/1.1\r\n\r\n")
        await until(lambda: len(server.tasks) == MANY)
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert len(waiting()) == MANY - 2

    monkeypatch.setattr(monitored_app, "page", page)
    dispatcher: Any = SimpleNamespace(manager=None)  # no model is used
    bodies = Bodies(Limits(inflight_bytes=6 * LIGHT_BYTES), None)  # type: ignore[arg-type]  # nor a parser
    with_server(monitored_app.MonitoredRestApp("/metrics", dispatcher, bodies), test)
    assert made < MANY // 2

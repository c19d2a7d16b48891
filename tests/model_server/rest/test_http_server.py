"""The HTTP server with applications that behave as the REST API never does, or not within the time of a test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.model_server.server_process import PATIENCE
from tfserve.model_server.rest import http_server
from tfserve.model_server.rest.exchange import App, Receive, Scope, Send

REQUEST = b"GET /%b HTTP/1.1\r\n\r\n"
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def answer(send: Send, body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Behaves as the path says."""
    path = scope["raw_path"]
    if path == b"/fail":
        raise ValueError
    if path == b"/fail-late":
        await asyncio.sleep(0.01)
        raise ValueError
    if path == b"/large":
        await answer(send, b"x" * 10_000_000)
    await answer(send, path)


class Held:
    """Answers ``/held`` once `go` is set, and other paths immediately."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["raw_path"] != b"/held":
            await app(scope, receive, send)
            return
        self.started.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            await answer(send, b"cancelled")
        else:
            await answer(send, b"held")


class Reading:
    """Answers once the whole body has arrived."""

    def __init__(self) -> None:
        self.started = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            self.started.set()
        message: dict[str, Any] = {"type": "http.request", "more_body": True}
        while message["type"] == "http.request" and message["more_body"]:
            message = await receive()
        if message["type"] == "http.request":
            await answer(send, b"read")


class Running:
    """A running server, and the event that stops it."""

    def __init__(self, app: App) -> None:
        self.stop = asyncio.Event()
        self.server = http_server.HttpServer(app)
        self._listener = http_server.listen("127.0.0.1", 0)
        self._port = self._listener.getsockname()[1]
        self._writers: list[asyncio.StreamWriter] = []  # a writer that is deleted closes its connection

    async def serve(self, **options: Any) -> None:
        await self.server.serve(self._listener, self.stop, **options)

    async def connect(self, sent: bytes = b"") -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(sent)
        self._writers.append(writer)
        return reader, writer

    def abort_idle(self) -> None:
        """Aborts the connections that are idle now."""
        self.server.abort_idle(asyncio.get_running_loop().time() + 1)


def with_server(
    test: Callable[[Running], Awaitable[None]], app: App | None = None, idle_timeout: float = 1000, **options: Any
) -> None:
    """Runs `test` with a running server."""

    async def run() -> None:
        running = Running(app or globals()["app"])
        serving = asyncio.ensure_future(running.serve(idle_timeout=idle_timeout, **options))
        await asyncio.wait_for(test(running), PATIENCE)
        running.stop.set()
        await asyncio.wait_for(serving, PATIENCE)

    asyncio.run(run())


def test_a_connection_without_requests_is_closed_after_the_idle_timeout() -> None:
    async def test(running: Running) -> None:
        reader, _ = await running.connect()
        assert await reader.read() == b""

    with_server(test, idle_timeout=0.1)


def test_idle_clients_are_disconnected_and_slow_answers_are_awaited() -> None:
    held = Held()

    async def test(running: Running) -> None:
        silent = await running.connect()
        done = await running.connect(REQUEST % b"done")
        half = await running.connect(REQUEST % b"done" + b"GET / HT")
        slow = await running.connect(REQUEST % b"held")
        for reader, _ in (done, half):
            assert (await reader.readuntil(b"/done")).startswith(b"HTTP/1.1 200 OK\r\n")
        await held.started.wait()
        running.abort_idle()
        for reader, _ in (silent, half, done):
            assert await reader.read() == b""
        held.go.set()
        assert (await slow[0].readuntil(b"held")).startswith(b"HTTP/1.1 200 OK\r\n")

    with_server(test, held)


def test_a_client_that_does_not_read_is_not_read_from_and_disconnected() -> None:
    count = 0

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal count
        count += 1
        await app(scope, receive, send)

    async def test(running: Running) -> None:
        _, writer = await running.connect(REQUEST % b"large" * 100)
        while not count:
            await asyncio.sleep(0)
        while not writer.is_closing():
            writer.write(b"\r\n")
            running.abort_idle()
            await asyncio.sleep(0.001)

    with_server(test, counting)
    assert 0 < count < 5


@pytest.mark.parametrize("path", [b"fail", b"fail-late"])
def test_an_application_that_fails_only_loses_its_connection(path: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    async def test(running: Running) -> None:
        reader, _ = await running.connect(REQUEST % path)
        assert await reader.read() == b""
        reader, _ = await running.connect(REQUEST % b"fine")
        await reader.readuntil(b"/fine")

    with_server(test)
    assert "ValueError in the application" in capfd.readouterr().err


HALF = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nha"


def test_the_rest_of_a_request_is_awaited_during_the_shutdown() -> None:
    reading = Reading()

    async def test(running: Running) -> None:
        slow, to_slow = await running.connect(HALF)
        head, _ = await running.connect(REQUEST % b"" + b"POST / HTTP/1.1\r\nContent-Le")
        await head.readuntil(b"read")
        await reading.started.wait()
        running.stop.set()
        assert await head.read() == b""
        to_slow.write(b"lf")
        assert (await slow.read()).endswith(b"read")

    with_server(test, reading, drain_seconds=1000, body_seconds=1000)


def test_an_incomplete_request_does_not_delay_the_shutdown() -> None:
    reading = Reading()

    async def test(running: Running) -> None:
        half, _ = await running.connect(HALF)
        await reading.started.wait()
        running.stop.set()
        assert await half.read() == b""

    with_server(test, reading, drain_seconds=1000, body_seconds=0.1)


def test_a_request_that_runs_too_long_is_cancelled_during_the_shutdown_and_answered() -> None:
    held = Held()

    async def test(running: Running) -> None:
        reader, _ = await running.connect(REQUEST % b"held")
        idle, _ = await running.connect()
        await held.started.wait()
        running.stop.set()
        assert await idle.read() == b""
        assert (await reader.read()).endswith(b"Connection: close\r\n\r\ncancelled")

    with_server(test, held, drain_seconds=0.2)

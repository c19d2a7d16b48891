"""The HTTP server under applications that do what the REST API never does, or not in the time of a test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tfserve.model_server.rest import http_server
from tfserve.model_server.rest.exchange import App, Receive, Scope, Send

REQUEST = b"GET /%b HTTP/1.1\r\n\r\n"
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def answer(send: Send, body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Does what the path says."""
    path = scope["raw_path"]
    if path == b"/fail":
        raise ValueError
    if path == b"/fail-late":
        await asyncio.sleep(0.01)
        raise ValueError
    if path == b"/slow":
        await asyncio.sleep(1)
    if path == b"/large":
        await answer(send, b"x" * 10_000_000)
    if path == b"/for-ever":
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            await answer(send, b"cut short")
            return
    await answer(send, path)


def with_server(
    test: Callable[[Callable[[], Awaitable[Client]], asyncio.Event], Awaitable[None]], app: App = app, **options: Any
) -> None:
    """Runs `test` beside a server, with how to connect to it and what stops it."""

    async def run() -> None:
        listener = http_server.listen("127.0.0.1", 0)
        port = listener.getsockname()[1]
        stop = asyncio.Event()
        serving = asyncio.ensure_future(http_server.serve(app, listener, stop, **options))
        await asyncio.wait_for(test(lambda: asyncio.open_connection("127.0.0.1", port), stop), 20)
        stop.set()
        await asyncio.wait_for(serving, 20)

    asyncio.run(run())


def test_a_client_that_says_nothing_is_ended_and_a_slow_answer_is_not() -> None:
    async def test(connect: Callable[[], Awaitable[Client]], stop: asyncio.Event) -> None:
        silent, half, slow, done = [await connect() for _ in range(4)]
        half[1].write(b"GET / HT")
        slow[1].write(REQUEST % b"slow")
        done[1].write(REQUEST % b"done")
        assert (await done[0].readuntil(b"/done")).startswith(b"HTTP/1.1 200 OK\r\n")
        for reader, _ in (silent, half, done):
            assert await reader.read() == b""
        assert (await slow[0].readuntil(b"/slow")).startswith(b"HTTP/1.1 200 OK\r\n")

    with_server(test, silence_seconds=0.2)


def test_a_client_that_does_not_read_is_not_read_either_and_ended() -> None:
    asked = 0

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal asked
        asked += 1
        await app(scope, receive, send)

    async def test(connect: Callable[[], Awaitable[Client]], stop: asyncio.Event) -> None:
        _, writer = await connect()
        writer.write(REQUEST % b"large" * 100)
        while not writer.is_closing():
            writer.write(b"\r\n")
            await asyncio.sleep(0.01)

    with_server(test, counting, silence_seconds=0.2)
    assert asked < 5


@pytest.mark.parametrize("path", [b"fail", b"fail-late"])
def test_an_application_that_fails_costs_its_connection(path: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    async def test(connect: Callable[[], Awaitable[Client]], stop: asyncio.Event) -> None:
        reader, writer = await connect()
        writer.write(REQUEST % path)
        assert await reader.read() == b""
        reader, writer = await connect()
        writer.write(REQUEST % b"fine")
        await reader.readuntil(b"/fine")

    with_server(test)
    assert "ValueError in the application" in capfd.readouterr().err


async def reading(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers what comes with a whole body."""
    message: dict[str, Any] = {"type": "http.request", "more_body": True}
    while message["type"] == "http.request" and message["more_body"]:
        message = await receive()
    if message["type"] == "http.request":
        await answer(send, b"read")


HALF = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nha"


def test_the_rest_of_a_request_is_waited_for_at_the_end() -> None:
    async def test(connect: Callable[[], Awaitable[Client]], stop: asyncio.Event) -> None:
        (slow, to_slow), (head, to_head) = [await connect() for _ in range(2)]
        to_slow.write(HALF)
        to_head.write(b"POST / HTTP/1.1\r\nContent-Le")
        await asyncio.sleep(0.1)
        stop.set()
        assert await head.read() == b""
        to_slow.write(b"lf")
        assert (await slow.read()).endswith(b"read")

    with_server(test, app=reading, drain_seconds=1000, body_seconds=1000)


def test_a_request_that_is_not_whole_does_not_hold_up_the_end() -> None:
    async def test(connect: Callable[[], Awaitable[Client]], stop: asyncio.Event) -> None:
        half, to_half = await connect()
        to_half.write(HALF)
        await asyncio.sleep(0.1)
        stop.set()
        assert await half.read() == b""

    with_server(test, app=reading, drain_seconds=1000, body_seconds=0.1)


def test_what_runs_too_long_at_the_end_is_cut_short_and_says_so() -> None:
    async def test(connect: Callable[[], Awaitable[Client]], stop: asyncio.Event) -> None:
        reader, writer = await connect()
        idle, _ = await connect()
        writer.write(REQUEST % b"for-ever")
        await asyncio.sleep(0.1)
        stop.set()
        assert await idle.read() == b""
        assert (await reader.read()).endswith(b"Connection: close\r\n\r\ncut short")

    with_server(test, drain_seconds=0.2)

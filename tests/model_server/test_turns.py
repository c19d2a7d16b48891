"""How work that takes long shares an event loop, of the kind that the server uses, with everything else."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Coroutine
from typing import Any

import pytest
import uvloop

from tfserve.model_server import turns

LONG_SECONDS = 0.003  # more than a turn


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(asyncio.wait_for(coroutine, 60))
    finally:
        loop.close()


async def work(number: int, done: list[int], seconds: float = LONG_SECONDS) -> None:
    await turns.take()
    time.sleep(seconds)
    done.append(number)


def test_the_first_does_not_wait() -> None:
    async def check() -> None:
        with pytest.raises(StopIteration):
            turns.take().send(None)
        with pytest.raises(StopIteration):  # the first has taken no time
            turns.take().send(None)

    run(check())


def test_the_event_loop_looks_for_events_after_each() -> None:
    async def check() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        done: list[int] = []
        seen: list[int] = []

        def received() -> None:
            ours.recv(1)
            seen.append(len(done))
            theirs.send(b"x")

        asyncio.get_running_loop().add_reader(ours, received)
        theirs.send(b"x")
        await asyncio.gather(*(work(number, done) for number in range(20)))
        asyncio.get_running_loop().remove_reader(ours)
        ours.close()
        theirs.close()
        assert done == sorted(done)
        assert set(range(2, 20)) <= set(seen)

    run(check())


def test_who_waits_is_not_overtaken() -> None:
    async def check() -> None:
        done: list[int] = []
        tasks = [asyncio.create_task(work(number, done)) for number in range(5)]
        while not done:
            await asyncio.sleep(0)
        await asyncio.gather(*tasks, work(5, done, 0))
        assert done == list(range(6))

    run(check())


def test_one_that_is_cancelled_takes_no_turn() -> None:
    async def check() -> None:
        done: list[int] = []
        tasks = [asyncio.create_task(work(number, done)) for number in range(5)]
        await asyncio.sleep(0)
        tasks[2].cancel()
        await asyncio.wait(tasks)
        assert done == [0, 1, 3, 4]
        await work(5, done)

    run(check())


def test_functions_take_turns_with_coroutines() -> None:
    async def check() -> None:
        done: list[int] = []

        def call() -> None:
            time.sleep(LONG_SECONDS)
            done.append(-1)
            if len(done) < 8:
                turns.add(call)

        turns.add(call)
        await asyncio.gather(*(work(number, done) for number in range(3)))
        while len(done) < 8:
            await asyncio.sleep(0)
        assert done.index(-1) < done.index(2)
        assert done.count(-1) >= 4

    run(check())


def test_a_function_that_fails_does_not_stop_the_others() -> None:
    async def check() -> None:
        done: list[int] = []
        asyncio.get_running_loop().set_exception_handler(lambda *_: done.append(-1))
        turns.add(lambda: 1 // 0)
        await work(1, done)
        await work(2, done)
        assert done == [-1, 1, 2]

    run(check())

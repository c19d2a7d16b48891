from __future__ import annotations

import asyncio

import pytest

from tfserve.model_server.grpc.room import Room


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_tasks_wait_for_room_in_their_order() -> None:
    async def run() -> list[str]:
        room, events = Room(10), list[str]()
        go = {name: asyncio.Event() for name in "abcd"}

        async def task(name: str, size: int) -> None:
            async with room.of(size):
                events.append(f"{name} begins")
                await go[name].wait()

        tasks = [asyncio.ensure_future(task(name, size)) for name, size in (("a", 6), ("b", 50), ("c", 4), ("d", 5))]
        await settle()
        assert events == ["a begins"]
        go["a"].set()
        await settle()
        assert events == ["a begins", "b begins"]  # alone, as it needs more than there is
        go["b"].set()
        await settle()
        for name in "cd":
            go[name].set()
        await asyncio.gather(*tasks)
        return events

    assert asyncio.run(run()) == ["a begins", "b begins", "c begins", "d begins"]


def test_cancelled_tasks_leave_no_gap() -> None:
    async def run() -> None:
        room = Room(10)
        go = asyncio.Event()

        async def task() -> None:
            async with room.of(10):
                await go.wait()

        first, second, third = (asyncio.ensure_future(task()) for _ in range(3))
        await settle()
        second.cancel()
        first.cancel()
        await settle()
        go.set()
        await asyncio.wait_for(third, 5)
        with pytest.raises(asyncio.CancelledError):
            await second

    asyncio.run(run())

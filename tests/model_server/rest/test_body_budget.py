from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.model_server.server_process import PATIENCE
from tfserve.model_server.rest import body_budget
from tfserve.model_server.rest.body_budget import BodyBudget, Reservation
from tfserve.model_server.rest.limits import LIGHT_BYTES
from tfserve.model_server.status import Code, StatusError

SIZE = 20 * LIGHT_BYTES  # a fifth of it is for light bodies
HEAVY = 7 * LIGHT_BYTES


def run(test: Callable[[BodyBudget], Awaitable[None]]) -> None:
    async def with_budget() -> None:
        await asyncio.wait_for(test(BodyBudget(SIZE)), PATIENCE)

    asyncio.run(with_budget())


async def reserve(budget: BodyBudget, size: int, interrupt: Callable[[], None] = lambda: None) -> Reservation:
    room = budget.reservation(interrupt)
    await room.reserve(size)
    return room


def test_bodies_wait_for_room_in_order_and_light_ones_do_not_wait_for_heavy_ones() -> None:
    async def test(budget: BodyBudget) -> None:
        first, second = await reserve(budget, HEAVY), await reserve(budget, HEAVY)
        admitted: list[int] = []

        async def wait(number: int, size: int) -> None:
            await reserve(budget, size)
            admitted.append(number)

        waiting = [asyncio.ensure_future(wait(1, HEAVY)), asyncio.ensure_future(wait(2, 3 * LIGHT_BYTES))]
        await asyncio.sleep(0.01)
        for _ in range(4):
            await reserve(budget, LIGHT_BYTES)
        assert not admitted
        first.release()
        first.release()
        await asyncio.wait(waiting[:1])
        assert admitted == [1]
        second.release()
        await asyncio.wait(waiting)
        assert admitted == [1, 2]

    run(test)


def test_a_body_that_is_larger_than_all_of_the_room_has_it_to_itself() -> None:
    async def test(budget: BodyBudget) -> None:
        room = await reserve(budget, 2 * SIZE)
        waiting = asyncio.ensure_future(reserve(budget, HEAVY))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        room.release()
        await waiting

    run(test)


def test_a_body_can_grow_out_of_the_room_of_light_ones() -> None:
    async def test(budget: BodyBudget) -> None:
        growing = await reserve(budget, LIGHT_BYTES)
        await growing.reserve(HEAVY)
        await growing.reserve(2 * HEAVY)
        for _ in range(4):
            await reserve(budget, LIGHT_BYTES)
        waiting = asyncio.ensure_future(reserve(budget, HEAVY))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        growing.resize(HEAVY)  # what became of it is smaller
        await waiting

    run(test)


def test_a_response_that_is_read_can_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_budget, "_STALL_SECONDS", 0.1)
    monkeypatch.setattr(body_budget, "_CHECK_SECONDS", 0.02)
    monkeypatch.setattr(body_budget, "_LEAST_RATE", 1000)

    async def test(budget: BodyBudget) -> None:
        interrupted = asyncio.Event()
        room = await reserve(budget, HEAVY, interrupted.set)
        unsent = [2 * HEAVY]
        room.sending(2 * HEAVY, lambda: unsent[0])
        waiting = asyncio.ensure_future(reserve(budget, 2 * HEAVY))
        for _ in range(30):
            await asyncio.sleep(0.01)
            unsent[0] -= 1000
        assert not interrupted.is_set()
        await interrupted.wait()  # now that the client reads no more
        room.release()
        await waiting

    run(test)


def test_a_body_that_waits_too_long_is_refused_and_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_budget, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(body_budget, "_CHECK_SECONDS", 0.02)

    async def test(budget: BodyBudget) -> None:
        room = await reserve(budget, 2 * HEAVY)
        for _ in range(2):
            with pytest.raises(StatusError) as caught:
                await reserve(budget, HEAVY)
            assert caught.value.code is Code.RESOURCE_EXHAUSTED
        cancelled = asyncio.ensure_future(reserve(budget, HEAVY))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        room.release()
        await reserve(budget, 2 * HEAVY)

    run(test)


@pytest.mark.parametrize("crawls", [False, True])
def test_a_body_that_makes_no_progress_while_another_waits_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, crawls: bool
) -> None:
    monkeypatch.setattr(body_budget, "_STALL_SECONDS", 0.1)
    monkeypatch.setattr(body_budget, "_CHECK_SECONDS", 0.02)

    async def test(budget: BodyBudget) -> None:
        interrupted = asyncio.Event()
        slow = await reserve(budget, HEAVY, interrupted.set)
        slow.receiving(0)
        parsed = await reserve(budget, HEAVY)  # does not depend on its client
        await asyncio.sleep(0.2)
        assert not interrupted.is_set()  # it can take its time while no other body waits
        waiting = asyncio.ensure_future(reserve(budget, HEAVY))
        while not interrupted.is_set():
            if crawls:
                slow.receiving(1)
            await asyncio.sleep(0.01)
        assert slow.refused
        assert not parsed.refused
        slow.release()
        await waiting

    run(test)

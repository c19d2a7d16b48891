"""Bounds the memory of all request bodies together: those that are being received, parsed, and answered.

A body that finds no room waits unread, so that TCP holds its client back; small ones have room of their own. While one
waits, others must make progress, or they are refused.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from tfserve.model_server.rest.limits import LIGHT_BYTES
from tfserve.model_server.status import Code, StatusError

WAIT_SECONDS = 10.0
"""How long a body waits for room before the request is refused."""

_LIGHT_SHARE = 5  # a fifth of the room is for light bodies alone
_STALL_SECONDS = 2.0
_LEAST_RATE = 256 << 10  # bytes in a second
_CHECK_SECONDS = 0.5


class _Lane:
    """The room for bodies of one kind.

    Args:
        size: in bytes.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0
        self.holders: set[Reservation] = set()
        self.waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def fits(self, size: int) -> bool:
        """Returns whether there is room for `size` more bytes; a single body always fits."""
        return self.used + size <= self.size or not self.used

    def change(self, size: int) -> None:
        """Takes or returns room, and lets the next bodies in."""
        self.used += size
        while self.waiting:
            wanted, admitted = self.waiting[0]
            if not admitted.done():
                if not self.fits(wanted):
                    return
                self.used += wanted
                admitted.set_result(None)
            self.waiting.popleft()


class BodyBudget:
    """The room for the bodies of a server.

    Args:
        size: in bytes.
    """

    def __init__(self, size: int) -> None:
        self._light = _Lane(size // _LIGHT_SHARE)
        self._heavy = _Lane(size - size // _LIGHT_SHARE)

    def reservation(self, interrupt: Callable[[], None]) -> Reservation:
        """Returns a reservation without room yet.

        Args:
            interrupt: is called when the body is refused while it is being received or its response is being sent.
        """
        return Reservation(self._light, self._heavy, interrupt)


class Reservation:
    """The room of one body; see `BodyBudget.reservation`.

    Attributes:
        refused: whether the body made too little progress while others waited.
    """

    def __init__(self, light: _Lane, heavy: _Lane, interrupt: Callable[[], None]) -> None:
        self.refused = False
        self._light, self._heavy = light, heavy
        self._interrupt = interrupt
        self._lane = light
        self._size = 0
        self._loop = asyncio.get_running_loop()
        self._started = self._progressed = 0.0  # in the time of the loop; 0 while it does not depend on the client
        self._received = 0
        self._unsent: Callable[[], int] | None = None

    async def reserve(self, size: int) -> None:
        """Waits until there is room for `size` bytes in all.

        Raises:
            StatusError: RESOURCE_EXHAUSTED, there was none for 10 seconds.
        """
        lane = self._light if size <= LIGHT_BYTES else self._heavy
        if lane is not self._lane:
            self._move(lane)
        more = size - self._size
        if more <= 0:
            return
        if not lane.waiting and (lane.fits(more) or lane.used == self._size):
            lane.change(more)
        else:
            await self._wait(lane, more)
        self._size += more
        lane.holders.add(self)

    def receiving(self, received: int) -> None:
        """Counts bytes that have arrived from the client, on whose speed the room depends from now on."""
        self._received += received
        self._progressed = self._loop.time()
        self._started = self._started or self._progressed

    def sending(self, size: int, unsent: Callable[[], int]) -> None:
        """Takes room for a response of `size` bytes instead of the body; `unsent` returns how many are not sent yet."""
        self.resize(size)
        self._unsent = unsent
        self.receiving(0)

    def resize(self, size: int) -> None:
        """Takes or returns room without waiting: the body has become something else, and is not being received."""
        self._started = self._progressed = self._received = 0
        self._unsent = None
        self._lane.change(size - self._size)
        self._size = size

    def release(self) -> None:
        """Returns all of the room; more than once is allowed."""
        self._lane.holders.discard(self)
        self.resize(0)

    def refuse_if_slow(self) -> None:
        """Refuses the body if its client makes too little progress."""
        now = self._loop.time()
        if not self._started or self.refused:
            return
        if self._unsent is not None and (sent := self._size - self._unsent() - self._received) > 0:
            self.receiving(sent)
        stalled = now - self._progressed > _STALL_SECONDS
        seconds = now - self._started
        if stalled or (seconds > _STALL_SECONDS and self._received < seconds * _LEAST_RATE):
            self.refused = True
            self._interrupt()

    def _move(self, lane: _Lane) -> None:
        """Gives up the room in one lane, to get some in the other."""
        self._lane.holders.discard(self)
        self._lane.change(-self._size)
        self._size = 0
        self._lane = lane

    async def _wait(self, lane: _Lane, more: int) -> None:
        started, self._started = self._started, 0.0  # it is not the client that makes it wait
        admitted: asyncio.Future[None] = self._loop.create_future()
        lane.waiting.append((more, admitted))
        end = self._loop.time() + WAIT_SECONDS
        try:
            while not admitted.done():
                for holder in list(lane.holders):
                    holder.refuse_if_slow()
                await asyncio.wait([admitted], timeout=_CHECK_SECONDS)
                if self._loop.time() > end and not admitted.done():
                    raise StatusError(
                        Code.RESOURCE_EXHAUSTED,
                        "The server is receiving other large requests; send this one again later",
                    )
        except BaseException:
            if admitted.done():
                lane.change(-more)
            admitted.cancel()
            lane.change(0)
            raise
        self._started = started and self._loop.time()
        self._progressed, self._received = self._started, 0

"""Shares the time of the event loop: what takes longer than a moment waits for its turn, and other events come between.

Without turns, a few hundred clients whose requests arrive together would delay everyone else until all are answered,
even if each of them takes the loop for 20 ms only.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TypeAlias
from weakref import WeakKeyDictionary

_TURN_SECONDS = 0.002  # of work, after which no other work begins before the loop has looked for events
_PAUSE = 1 / 16  # of the time of a turn is for all other events before the next turn

_Waiting: TypeAlias = "asyncio.Future[None] | Callable[[], object]"


async def take() -> None:
    """Waits until the calling coroutine can use the event loop for a while, up to some 20 ms; first come first served.

    It returns immediately while such work has taken less than 2 ms since the loop last looked for events. The work
    is what the coroutine does until it waits for something else, so another turn is needed after that. What takes less
    than about 1 ms needs none, and must not wait behind what does.
    """
    turns = _turns()
    if not turns.begin():
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        turns.add(turn)
        await turn


def begin() -> bool:
    """Returns whether work can begin immediately; if it cannot, it can wait with `take` or `add`."""
    return _turns().begin()


def add(work: Callable[[], object]) -> None:
    """Has `work` called on the event loop when it is its turn; see `take`."""
    _turns().add(work)


class _Turns:
    """The turns on one event loop.

    Args:
        loop: the loop, which is running.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_soon = loop.call_soon
        self._call_later = loop.call_later
        self._waiting: deque[_Waiting] = deque()
        self._is_scheduled = False  # whether the next ones are let begin
        self._is_used = False  # from the first work on, until the loop has looked for events
        self._end = 0.0  # when no other work can begin before that
        self._since = 0.0  # when the coroutine was resumed that has its turn; 0 if none has
        self._pause_end = 0.0

    def begin(self) -> bool:
        if self._is_used or self._is_scheduled:
            return not self._waiting and time.perf_counter() < self._end
        self._is_used = True
        self._end = time.perf_counter() + _TURN_SECONDS
        # Without a timer, the loop would look for events once more before it sleeps, which costs an idle server time.
        self._call_later(_TURN_SECONDS / 2, self._loop_has_looked)
        return True

    def add(self, work: _Waiting) -> None:
        self._waiting.append(work)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._call_soon(self._next)

    def _loop_has_looked(self) -> None:
        self._is_used = False

    def _next(self) -> None:
        """Lets the next ones begin: as many functions as there is time for, or one coroutine, which begins later."""
        if not self._waiting:
            self._is_scheduled = False
            self._since = 0.0
            return
        now = time.perf_counter()
        if self._since:
            self._pause_end = now + (now - self._since) * _PAUSE
            self._since = 0.0
        if now < self._pause_end:  # an event loop accepts a single connection each time it looks for events
            self._call_soon(self._next)
            return
        self._end = now + _TURN_SECONDS
        try:
            while self._waiting and time.perf_counter() < self._end:
                work = self._waiting.popleft()
                if not isinstance(work, asyncio.Future):
                    work()
                elif not work.done():  # it is done if the coroutine was cancelled
                    work.set_result(None)
                    self._since = time.perf_counter()
                    break
        finally:
            self._call_soon(self._next)  # after the coroutine, which the event loop resumes first


_turns_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()


def _turns() -> _Turns:
    """Returns the turns on the running event loop."""
    loop = asyncio.get_running_loop()
    turns = _turns_of_loops.get(loop)
    if turns is None:
        turns = _turns_of_loops[loop] = _Turns(loop)
    return turns

"""The calls in progress: how many there are, the memory that they hold, and those whose clients make no progress.

gRPC itself limits a message and the calls on a connection. It limits neither the memory of all messages that have not
arrived completely, nor that of all answers that no client reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Iterable
from typing import Any

import grpc.aio

from tfserve.model_server.grpc.connections import Address, address_of, received_bytes, shut_down
from tfserve.model_server.grpc.header_watch import HeaderWatch
from tfserve.model_server.grpc.statuses import abort
from tfserve.model_server.grpc.uploads import Uploads
from tfserve.model_server.status import Code, StatusError

MAX_CALLS = 4096
"""Calls at the same time. Each takes about 20 KB, and up to 64 KiB of a message that has not arrived completely."""

SMALL_BYTES = 1 << 16
"""Sizes up to this one are not counted: `MAX_CALLS` limits them."""

_TICK_SECONDS = 0.1
_TICKS_BETWEEN_LOOKS = 20  # at the connections, while no message is incomplete
_MAX_READ_SECONDS = 600.0  # for a message of any size
_MAX_SEND_SECONDS = 60.0  # for an answer, and one second more for each MB
_MIN_BYTES_PER_SECOND = 1 << 20
_END_SECONDS = 1.0  # for a call that has been aborted

_TOO_MUCH = (
    "The requests and answers in progress would take {total} bytes, more than the {budget} bytes of "
    "--grpc_max_bytes_in_flight; try again later"
)


class Call:
    """A call in progress.

    Attributes:
        context: gRPC's context of the call.
        held: bytes of its request, its tensors and its answer that are counted.
        since: when it began to wait for its client, in seconds of the monotonic clock.
        aborted: whether it has been ended before its message had arrived.
    """

    __slots__ = ("aborted", "context", "held", "peer", "since")

    def __init__(self, context: Any, now: float) -> None:
        self.context = context
        self.peer: str = context.peer()
        self.since = now
        self.held = 0
        self.aborted = False

    def address(self) -> Address | None:
        """Returns the address of the client; None if it is not connected by TCP."""
        return address_of(self.peer)


class Calls:
    """All calls of a server.

    Each call waits for its message, is run, and waits until its answer has been sent, in this order.

    Args:
        budget: how many bytes all calls may hold together; a single one may always hold as many as it needs.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._reading: dict[Call, None] = {}  # the oldest first, as in the next two
        self._running: dict[Call, None] = {}
        self._sending: dict[Call, None] = {}
        self._held = 0
        self._uploads = Uploads()
        self._begun: set[str] = set()  # peers
        self._ending: set[Address] = set()  # connections
        self._is_ending = False
        self._watching: asyncio.Future[None] | None = None
        self._tasks: set[asyncio.Future[Any]] = set()

    def begin(self, context: Any) -> Call:
        """Adds a call that waits for its message; it is removed when it ends.

        Raises:
            StatusError: RESOURCE_EXHAUSTED, there are too many calls, and none of them waits for its client.
        """
        if len(self._reading) + len(self._running) + len(self._sending) >= MAX_CALLS:
            self._end_oldest()
        call = Call(context, time.monotonic())
        self._reading[call] = None
        if len(self._begun) < MAX_CALLS:
            self._begun.add(call.peer)
        context.add_done_callback(functools.partial(self._remove, call))
        if self._watching is None:
            self._watching = self._start(self._watch())
        return call

    async def read(self, call: Call) -> bytes:
        """Returns the message of a call once it has arrived.

        Raises:
            StatusError: INTERNAL, the client sent none; RESOURCE_EXHAUSTED, all calls hold too much.
            grpc.aio.AbortError: the call was ended because its message did not arrive.
        """
        try:
            body: bytes = await call.context.read()
        finally:
            # Not later: to end a call that gRPC has already freed would crash the process.
            self._reading.pop(call, None)
            self._running[call] = None
        if body is grpc.aio.EOF:
            raise StatusError(Code.INTERNAL, "The call has no message")
        size = len(body)
        if (address := call.address()) is not None:
            self._uploads.arrived(address, size)
        self.hold(call, size)
        return body

    def hold(self, call: Call, size: int) -> None:
        """Counts bytes of a call, until it ends.

        Raises:
            StatusError: RESOURCE_EXHAUSTED, all calls hold too much.
        """
        if size <= SMALL_BYTES:
            return
        total = self._held + size
        if total > self._budget and self._held > call.held:
            raise StatusError(Code.RESOURCE_EXHAUSTED, _TOO_MUCH.format(total=total, budget=self._budget))
        call.held += size
        self._held = total

    def answered(self, call: Call, size: int) -> None:
        """Moves a call to those whose answers are being sent; nothing but the answer is counted from then on.

        Raises:
            StatusError: RESOURCE_EXHAUSTED, all calls hold too much.
        """
        self._held -= call.held
        call.held = 0
        self.hold(call, 2 * size)  # gRPC makes a copy
        self._running.pop(call, None)
        call.since = time.monotonic()
        self._sending[call] = None

    def _remove(self, call: Call, context: Any) -> None:
        for calls in (self._sending, self._running, self._reading):
            if call in calls:
                del calls[call]
                break
        self._held -= call.held
        call.held = 0

    def _end_oldest(self) -> None:
        """Ends the call that has waited longest for its client to make room for another.

        Raises:
            StatusError: RESOURCE_EXHAUSTED, none waits.
        """
        waiting = next((call for call in self._reading if not call.aborted), None)
        if waiting is not None:
            self._abort(waiting, Code.RESOURCE_EXHAUSTED, "The message did not arrive before too many others")
            return
        unread = next(iter(self._sending), None)
        if unread is None or unread.aborted:
            raise StatusError(Code.RESOURCE_EXHAUSTED, f"The server answers {MAX_CALLS} other calls; try again later")
        unread.aborted = True
        self._shut_down([unread])

    def _abort(self, call: Call, code: Code, message: str) -> None:
        """Ends a call that waits for its message."""
        call.aborted = True
        call.since = time.monotonic()
        self._start(self._end(call, code, message))

    async def _end(self, call: Call, code: Code, message: str) -> None:
        if call in self._reading:
            with contextlib.suppress(Exception):  # it raises the error that ends the call's own task
                await abort(call.context, code, message)

    def disconnect(self, *peers: str) -> None:
        """Ends the connections of clients, with all their calls."""
        for peer in peers:
            if (address := address_of(peer)) is not None:
                self._end_connection(address)

    def _end_connection(self, address: Address) -> None:
        self._ending.add(address)
        if not self._is_ending:
            self._is_ending = True
            self._start(self._end_connections())

    async def watch_headers(self) -> None:
        """Ends connections that send much before a call begins, until it is cancelled."""
        await HeaderWatch(self._clients, self._end_connection).run()

    def _clients(self) -> set[str]:
        """Returns the peers that have calls, or have begun some since this was last called."""
        clients, self._begun = self._begun, set()
        return clients.union(
            *[{call.peer for call in calls} for calls in (self._reading, self._running, self._sending)]
        )

    async def _end_connections(self) -> None:
        try:
            while self._ending:
                ended, self._ending = self._ending, set()
                await asyncio.to_thread(shut_down, ended)
        finally:
            self._is_ending = False

    def _shut_down(self, calls: Iterable[Call]) -> None:
        """Ends the connections of calls."""
        self.disconnect(*[call.peer for call in calls])

    def _start(self, work: Any) -> asyncio.Future[Any]:
        task: asyncio.Future[Any] = asyncio.ensure_future(work)
        self._tasks.add(task)  # the event loop itself does not keep it
        task.add_done_callback(self._tasks.discard)
        return task

    async def _watch(self) -> None:
        """Ends calls whose clients make no progress or hold too much, until there are no calls."""
        ticks = 0
        while self._reading or self._running or self._sending:
            await asyncio.sleep(_TICK_SECONDS)
            ticks += 1
            self._end_late()
            oldest = next(iter(self._reading), None)
            is_late = oldest is not None and oldest.since < time.monotonic() - _TICK_SECONDS
            if is_late or ticks % _TICKS_BETWEEN_LOOKS == 0:
                await self._limit_uploads()
        self._watching = None
        if self._reading or self._running or self._sending:
            self._watching = self._start(self._watch())

    def _end_late(self) -> None:
        now = time.monotonic()
        stuck = []
        for call in self._reading:
            if call.aborted:
                if now - call.since > _END_SECONDS:
                    stuck.append(call)
            elif now - call.since > _MAX_READ_SECONDS:
                self._abort(call, Code.DEADLINE_EXCEEDED, f"The message did not arrive in {_MAX_READ_SECONDS:.0f} s")
        stuck += [
            call for call in self._sending if now - call.since > _MAX_SEND_SECONDS + call.held / _MIN_BYTES_PER_SECOND
        ]
        self._shut_down(stuck)

    async def _limit_uploads(self) -> None:
        """Ends calls whose messages have not arrived completely, if all calls hold too much; the largest first."""
        calls: dict[Address, list[Call]] = {}
        for call in self._reading:
            if not call.aborted and (address := call.address()) is not None:
                calls.setdefault(address, []).append(call)
        pending = self._uploads.pending(await asyncio.to_thread(received_bytes), calls)
        total = self._held + sum(pending.values())
        for address in sorted(pending, key=pending.__getitem__, reverse=True):
            waiting = [call for call in calls[address] if call in self._reading]
            alone = pending[address] == total and len(waiting) == 1
            if total <= self._budget or alone:
                break
            message = _TOO_MUCH.format(total=total, budget=self._budget)
            for call in waiting:
                self._abort(call, Code.RESOURCE_EXHAUSTED, message)
            total -= pending[address]

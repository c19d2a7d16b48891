"""Ends connections that send headers without end: gRPC keeps them, and reports a call only once they are complete.

gRPC takes 16 MB of metadata for each call of a client that has not acknowledged its settings, and its functions have no
limit for all clients together. A header of 4 KB can be repeated with one byte.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Collection

from tfserve.model_server.grpc.connections import Address, address_of, received_bytes

_SECONDS = 0.1
_TICKS_BETWEEN_LOOKS = 20  # while the memory of the process does not grow
_GROWTH_BYTES = 32 << 20  # of the process, from which on the connections are looked at each time
_GROWTH_BYTES_PER_LOOK = 1 << 20  # is taken for permanent
_MAX_BYTES_WITHOUT_CALL = 1 << 18
_LOOKS = 2  # in which a connection must have sent too much: its call may just begin


class HeaderWatch:
    """Knows how much each client has sent since a call of it began.

    Args:
        active: returns the clients with calls.
        disconnect: ends the connection of a client.
    """

    def __init__(self, active: Callable[[], Collection[str]], disconnect: Callable[[Address], None]) -> None:
        self._active = active
        self._disconnect = disconnect
        self._explained: dict[Address, int] = {}
        self._suspected: dict[Address, int] = {}

    async def run(self) -> None:
        """Watches until it is cancelled; it looks more often while the process grows."""
        calm = _resident_bytes()
        for tick in itertools.count(1):
            await asyncio.sleep(_SECONDS)
            resident = _resident_bytes()
            calm = min(resident, calm + _GROWTH_BYTES_PER_LOOK)
            if resident - calm > _GROWTH_BYTES or tick % _TICKS_BETWEEN_LOOKS == 0:
                self.look(await asyncio.to_thread(received_bytes))

    def look(self, received: dict[Address, int]) -> None:
        """Ends the connections that have sent too much without a call, given what each has sent since it began."""
        active = {address_of(peer) for peer in self._active()}
        explained, suspected = {}, {}
        for client, size in received.items():
            before = self._explained.get(client, 0)
            explained[client] = size if client in active or size < before else before
            if size - explained[client] > _MAX_BYTES_WITHOUT_CALL:
                suspected[client] = self._suspected.get(client, 0) + 1
                if suspected[client] >= _LOOKS:
                    self._disconnect(client)
        self._explained, self._suspected = explained, suspected


def _resident_bytes() -> int:
    """Returns the memory of this process; 0 if the system is not Linux, where connections cannot be looked at."""
    try:
        with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123, this is read often
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0

"""How much of messages that have not arrived completely gRPC holds, for each client.

gRPC does not report it. It is what the client has sent, as the system counts it, less the messages that have arrived.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tfserve.model_server.grpc.connections import Address

_CALL_BYTES = 256  # of a call, in addition to its message: the head, and the frames


class Uploads:
    """What the clients have sent."""

    def __init__(self) -> None:
        self._arrived: dict[Address, int] = {}  # bytes of complete messages, and of everything else
        self._received: Mapping[Address, int] = {}

    def arrived(self, client: Address, size: int) -> None:
        """Records a message that has arrived completely."""
        self._arrived[client] = self._arrived.get(client, 0) + size + _CALL_BYTES

    def pending(self, received: Mapping[Address, int], waiting: Collection[Address]) -> dict[Address, int]:
        """Returns how many bytes of incomplete messages each client has sent.

        Args:
            received: how many bytes each connected client has sent since it connected.
            waiting: the clients with calls whose messages have not arrived completely; the others have sent no part of
                a message.
        """
        before, self._received = self._received, received
        arrived = {}
        for client, size in received.items():
            is_new = size < before.get(client, 0)  # the same port, in another connection
            if client not in waiting:
                arrived[client] = size
            elif client in self._arrived and not is_new:
                # Calls can be shorter than `_CALL_BYTES`; without a bound, a client could hide a message behind them.
                arrived[client] = min(self._arrived[client], size)
        self._arrived = arrived
        return {client: max(0, received[client] - arrived.get(client, 0)) for client in waiting if client in received}

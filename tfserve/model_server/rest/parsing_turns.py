"""Shares the time of the event loop among connections whose input takes long to parse."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Protocol

_TURN_SECONDS = 0.005  # of parsing, before other events get their turn


class Parsing(Protocol):
    """A connection with input that has arrived and is not parsed."""

    def parse_in_turn(self) -> bool:
        """Parses some of it; returns whether another turn is needed."""


class ParsingTurns:
    """Has connections parse their input one piece at a time, each in turn."""

    def __init__(self) -> None:
        self._waiting: deque[Parsing] = deque()
        self._is_scheduled = False

    def add(self, connection: Parsing) -> None:
        """Has a connection parse its next piece when those before it have had their turn."""
        self._waiting.append(connection)
        self._schedule()

    def _schedule(self) -> None:
        if self._waiting and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._parse)

    def _parse(self) -> None:
        end = time.perf_counter() + _TURN_SECONDS
        while self._waiting and time.perf_counter() < end:
            connection = self._waiting.popleft()
            if connection.parse_in_turn():
                self._waiting.append(connection)
        self._is_scheduled = False
        self._schedule()

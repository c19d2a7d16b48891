"""Passes what comes into this process on to a container: the keys of a terminal, or what is piped in."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

from tfserve.devel.attach import Attached

__all__ = ["send_input"]

_CHUNK_BYTES = 65536


def send_input(container: Attached) -> None:
    """Begins to send stdin to `container`, and goes on beside whoever reads what it says. It hears of the end, too."""
    # Nobody waits for it: a container may end while there is more to read, or while nobody writes.
    threading.Thread(target=_send, args=(sys.stdin.fileno(), container), daemon=True).start()


def _send(descriptor: int, container: Attached) -> None:
    with suppress(OSError):  # it has ended, or there is nothing to read from
        while data := os.read(descriptor, _CHUNK_BYTES):
            container.send(data)
    container.end_input()

"""Makes this terminal a container's: every key goes there, and what comes back is shown as it is."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tfserve.cli.output import Output
from tfserve.devel.attach import Attached

__all__ = ["interact", "send_input"]


def interact(container: Attached, output: Output) -> None:
    """Connects this terminal with `container` until that ends."""
    with _raw(), _sized(container):
        send_input(container)
        for to_stderr, data in container.output():
            output.raw(data, to_stderr=to_stderr)


@contextmanager
def _raw() -> Iterator[None]:
    """Lets the terminal pass on every key, Ctrl-C too, and shows none by itself."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextmanager
def _sized(container: Attached) -> Iterator[None]:
    """Keeps the container's terminal as large as this one."""

    def resize(*_: object) -> None:
        columns, lines = shutil.get_terminal_size()
        container.resize(lines, columns)

    before = signal.signal(signal.SIGWINCH, resize)
    try:
        resize()
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)


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

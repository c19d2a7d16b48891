"""Connects this terminal with a container: keys are sent unchanged, and so is the output that comes back."""

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

_CHUNK_BYTES = 65536


def interact(container: Attached, output: Output) -> None:
    """Connects this terminal with `container` until the container exits."""
    with _raw(), _sized(container):
        send_input(container)
        for to_stderr, data in container.output():
            output.raw(data, to_stderr=to_stderr)


@contextmanager
def _raw() -> Iterator[None]:
    """Makes the terminal pass on every key, including Ctrl-C, without echo."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextmanager
def _sized(container: Attached) -> Iterator[None]:
    """Keeps the size of the container's terminal the same as that of this one."""

    def resize(*_: object) -> None:
        columns, lines = shutil.get_terminal_size()
        container.resize(lines, columns)

    before = signal.signal(signal.SIGWINCH, resize)
    try:
        resize()
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)


def send_input(container: Attached) -> None:
    """Sends stdin to `container` in the background, and then end of file."""
    # The thread is not joined: the container may exit while there is more to read, or while no input comes.
    threading.Thread(target=_send, args=(sys.stdin.fileno(), container), daemon=True).start()


def _send(descriptor: int, container: Attached) -> None:
    with suppress(OSError):  # the container has exited, or stdin is closed
        while data := os.read(descriptor, _CHUNK_BYTES):
            container.send(data)
    container.end_input()

"""Makes this terminal a container's: every key goes there, and what comes back is shown as it is."""

from __future__ import annotations

import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from tfserve.cli.container_input import send_input
from tfserve.cli.output import Output
from tfserve.devel.attach import Attached

__all__ = ["interact"]


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

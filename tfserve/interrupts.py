"""Ctrl-C and SIGTERM: what may be cut short, and what has to be finished or undone first.

Between asking an engine for a server and noting which server that is, an interrupt would leave something behind that
nobody remembers. Such stretches run inside `interrupts_deferred`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from tfserve.errors import InterruptError

__all__ = [
    "Terminated",
    "begin_cleaning_up",
    "cancel_workers",
    "cancelled",
    "interrupts_deferred",
    "leave_on_interrupt",
    "raise_if_cancelled",
    "raise_on_termination",
    "reset_cancellation",
]

_AGAIN_SECONDS = 0.01
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


_ending = threading.Event()


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, raised where Ctrl-C would raise `KeyboardInterrupt`, so that both clean up alike."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def exit_code(interrupt: BaseException) -> int:
    """The shell's code for a program that a signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + interrupt.number if isinstance(interrupt, Terminated) else InterruptError.exit_code


def cancel_workers() -> None:
    """Has every thread that calls `raise_if_cancelled` now and then end, as an interrupt has the main thread end."""
    _ending.set()


def reset_cancellation() -> None:
    """Lets the threads that begin from now on run."""
    _ending.clear()


def raise_if_cancelled() -> None:
    """Raises KeyboardInterrupt in a thread that is to end."""
    if cancelled():
        raise KeyboardInterrupt


def cancelled() -> bool:
    """Whether this is a thread that is to end."""
    return _ending.is_set() and threading.current_thread() is not threading.main_thread()


def leave_on_interrupt() -> None:
    """Makes Ctrl-C end the process at once, as long as there is nothing to clean up: while modules are loaded.

    Python would raise an exception in the middle of an import, where it may get lost.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def begin_cleaning_up() -> None:
    """Ends what `leave_on_interrupt` began: from now on there may be something to clean up."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def raise_on_termination() -> None:
    """Makes SIGTERM and SIGHUP raise `Terminated` in the main thread. SIGHUP stays ignored if it is (``nohup``).

    No interrupt gets lost from then on, wherever it comes.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)
    sys.unraisablehook = _raise_again


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    os.write(2, b"Interrupted.\n")
    os._exit(InterruptError.exit_code)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Terminated(number)


def _raise_again(dropped: sys.UnraisableHookArgs) -> None:
    """Sends an interrupt once more that came while an object was being destroyed, where Python drops exceptions."""
    if not isinstance(dropped.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(dropped)
        return
    number = dropped.exc_value.number if isinstance(dropped.exc_value, Terminated) else signal.SIGINT
    main_thread = threading.main_thread().ident  # whose waiting the signal has to cut short
    threading.Timer(_AGAIN_SECONDS, signal.pthread_kill, [main_thread, number]).start()


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Delays interrupts until the block is done; a second one is not delayed. Does nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[tuple[int, FrameType | None]] = []

    def note(number: int, frame: FrameType | None) -> None:
        if waiting:
            waiting.clear()
            restore()
            deliver(number, frame)
        waiting.append((number, frame))

    def restore() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def deliver(number: int, frame: FrameType | None) -> None:
        handler = handlers[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)
        elif handler is signal.SIG_DFL:
            signal.raise_signal(number)

    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in handlers.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, note)
    try:
        yield
    finally:
        restore()
        if waiting:
            deliver(*waiting[0])

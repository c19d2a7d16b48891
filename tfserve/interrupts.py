"""Ctrl-C and SIGTERM: code that may be interrupted at any time, and code that must finish or be undone first.

Between creating something on an engine and recording it, an interrupt would leave it behind without a reference to it.
Such code runs inside `interrupts_deferred`.
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
    "exit_code",
    "interrupts_deferred",
    "leave_on_interrupt",
    "raise_if_cancelled",
    "raise_on_termination",
    "reset_cancellation",
]

_AGAIN_SECONDS = 0.01
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


_cancellation = threading.Event()


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, raised where Ctrl-C raises `KeyboardInterrupt`, so that the same code cleans up."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def exit_code(interrupt: BaseException) -> int:
    """The exit code of a program that a signal terminated: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + interrupt.number if isinstance(interrupt, Terminated) else InterruptError.exit_code


def cancel_workers() -> None:
    """Cancels all threads that call `raise_if_cancelled` regularly, as an interrupt stops the main thread."""
    _cancellation.set()


def reset_cancellation() -> None:
    """Ends the cancellation, for threads that start from now on."""
    _cancellation.clear()


def raise_if_cancelled() -> None:
    """Raises KeyboardInterrupt if this thread is cancelled."""
    if cancelled():
        raise KeyboardInterrupt


def cancelled() -> bool:
    """Whether this thread is cancelled; the main thread never is."""
    return _cancellation.is_set() and threading.current_thread() is not threading.main_thread()


def leave_on_interrupt() -> None:
    """Makes Ctrl-C exit the process immediately, while modules are loaded and there is nothing to clean up.

    Python would raise an exception in the middle of an import, where it may be lost.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def begin_cleaning_up() -> None:
    """Undoes `leave_on_interrupt`, because from now on there may be something to clean up."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def raise_on_termination() -> None:
    """Makes SIGTERM and SIGHUP raise `Terminated` in the main thread. An ignored SIGHUP (``nohup``) stays ignored.

    From then on no interrupt is lost, wherever it arrives.
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
    """Sends an interrupt again that arrived in a destructor, where Python drops exceptions."""
    if not isinstance(dropped.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(dropped)
        return
    number = dropped.exc_value.number if isinstance(dropped.exc_value, Terminated) else signal.SIGINT
    main_thread = threading.main_thread().ident  # the signal has to interrupt what this thread waits for
    threading.Timer(_AGAIN_SECONDS, signal.pthread_kill, [main_thread, number]).start()


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Defers interrupts until the block ends; a second one is not deferred. Does nothing outside the main thread."""
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

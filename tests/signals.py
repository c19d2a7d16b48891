"""Child processes of the tests get the default action of each signal, however the tests themselves were started.

``nohup`` starts a program with SIGHUP ignored, and a shell that is not interactive starts background jobs with SIGINT
ignored. Ignored signals are inherited by child processes; handled ones are not.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["no_ignored_signals"]

_SIGNALS = (signal.SIGHUP, signal.SIGINT)


@contextmanager
def no_ignored_signals() -> Iterator[None]:
    """Replaces ignored signals by handlers that do nothing: no change for this process, a default for its children."""
    ignored = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
